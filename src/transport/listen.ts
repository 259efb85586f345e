/** The listening end: a Unix socket that is private from its first instant. */
import { lstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { checkSocketPath, isPipe } from './address.ts';
import { TransportError } from './error.ts';
import { ensurePrivateDirectory } from './private-directory.ts';

export interface Listener extends AsyncDisposable {
  readonly address: string;
  /** Stops accepting and removes the socket, if it is still the one made here. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Accepted and closed at once by the caller beyond this; the system is never left to do it in silence. */
  readonly accept: (socket: Socket) => void;
  readonly failed: (error: Error) => void;
}

/**
 * Listens on `path`. A socket that is already there is only removed when a connection to it is refused: a slow
 * broker is not a dead one. Throws a TransportError.
 */
export async function listen(path: string, options: ListenOptions): Promise<Listener> {
  if (!isPipe(path)) {
    checkSocketPath(path);
    ensurePrivateDirectory(dirname(path));
    await removeStale(path);
  }
  const server = createServer({ pauseOnConnect: false }, options.accept);
  server.on('error', options.failed);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  // bind() happens inside listen(), so the mode is 0600 from the first instant and no chmod has to follow.
  const before = isPipe(path) ? undefined : process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    if (before !== undefined) process.umask(before);
  }
  await listening.catch((cause: NodeJS.ErrnoException) => {
    throw new TransportError(
      cause.code === 'EADDRINUSE' ? 'socket_in_use' : 'connection_failed',
      `Cannot listen on ${path}: ${cause.message}.`,
      { cause },
    );
  });
  const identity = isPipe(path) ? undefined : identityOf(path);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= closeListener(server, path, identity);
    return closed;
  };
  return { address: path, close, [Symbol.asyncDispose]: close };
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket())
    throw new TransportError(
      'socket_unsafe',
      `${path} is there and is not a socket. Move it away, or choose another path with --socket.`,
    );
  const answer = await probe(path);
  if (answer !== 'ECONNREFUSED')
    throw new TransportError(
      'socket_in_use',
      `Something is listening on ${path} already (${answer}). Choose another path with --socket.`,
    );
  unlinkSync(path);
}

/** "open" when a connection is accepted, else the code of the error. */
export function probe(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('open');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

function identityOf(path: string): string {
  const { dev, ino } = lstatSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

async function closeListener(server: Server, path: string, identity: string | undefined): Promise<void> {
  // Node unlinks the path on close, whoever owns it by then: a successor's socket must not go with ours.
  const successor =
    identity !== undefined &&
    (lstatSync(path, { throwIfNoEntry: false }) === undefined || identityOf(path) !== identity);
  if (successor) {
    server.unref();
    return;
  }
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
