/** Unix sockets: private by their directory, mode 0700, and by their own mode 0600. */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Transport } from './port.ts';
import { checkPrivateDirectory, refuseDirectory } from './private-directory.ts';
import { connectTo } from './socket.ts';

export const unixTransport: Transport<'unix'> = {
  scheme: 'unix',
  async listen(address, handler) {
    // Only the broker listens; a client has no need of the lock.
    const { UnixListener } = await import('./unix-listener.ts');
    return UnixListener.open(address, handler);
  },
  async dial({ path }, { timeoutMs }) {
    refuseDirectory(path);
    if (lstatSync(dirname(path), { throwIfNoEntry: false }) !== undefined) checkPrivateDirectory(dirname(path));
    return connectTo(path, timeoutMs);
  },
};
