/** The connecting end. */
import { lstatSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { isPipe } from './address.ts';
import { TransportError } from './error.ts';
import { checkPrivateDirectory } from './private-directory.ts';

/** Connects to a broker's socket, after a look at who owns its directory. Rejects with a TransportError. */
export function connectSocket(path: string): Promise<Socket> {
  if (!isPipe(path) && lstatSync(dirname(path), { throwIfNoEntry: false }) !== undefined) {
    try {
      checkPrivateDirectory(dirname(path));
    } catch (error) {
      return Promise.reject(error);
    }
  }
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => reject(explain(path, cause)));
  });
}

function explain(path: string, cause: NodeJS.ErrnoException): TransportError {
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
    return new TransportError(
      'broker_not_running',
      `No broker is running on ${path}. Start one with: deye broker start`,
      { cause },
    );
  if (cause.code === 'EACCES' || cause.code === 'EPERM')
    return new TransportError(
      'permission_denied',
      `You may not open ${path}: only the user who started the broker can.`,
      { cause },
    );
  return new TransportError('connection_failed', `Cannot connect to ${path}: ${cause.message}.`, { cause });
}
