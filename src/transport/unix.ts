/** Unix sockets: private by their directory, mode 0700, and by their own mode 0600. */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { TransportError } from './error.ts';
import type { Transport } from './port.ts';
import { checkPrivateDirectory } from './private-directory.ts';
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

/** `DEYE_SOCKET=/tmp` is a slip for a path in it. */
export function refuseDirectory(path: string): void {
  let directory: boolean;
  try {
    directory = lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return; // something above it is no directory; whoever uses the path says so
  }
  if (directory)
    throw new TransportError(
      'socket_unsafe',
      `${path} is a directory. Name a socket in a directory of its own, such as ${path === '/' ? '' : path}/deye/broker.sock.`,
    );
}
