/** What Unix sockets and named pipes have in common: both are paths to the system. */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { TransportError } from './error.ts';

/** As many as the system takes; it cuts larger values. Beyond them a connecting client waits. */
const backlog = 4096;
const backlogRetryMs = 10;

/** A server on `path` that is readable and writable by its owner only, from its first instant. */
export async function serve(
  path: string,
  accept: (socket: Socket) => void,
  failed: (error: Error) => void,
): Promise<Server> {
  const server = createServer(accept);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  // bind() happens inside listen(), so the mode is 0600 from the first instant and no chmod has to follow.
  const before = process.platform === 'win32' ? undefined : process.umask(0o177);
  try {
    server.listen({ path, backlog });
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
  server.removeAllListeners('error').on('error', failed);
  return server;
}

/** Connects; while the queue of the listener is full, tries again until the time is over. */
export async function connectTo(path: string, timeoutMs: number): Promise<Socket> {
  for (
    const untilMs = performance.now() + timeoutMs;
    ;
    await new Promise((resolve) => setTimeout(resolve, backlogRetryMs))
  )
    try {
      return await attempt(path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EAGAIN' && performance.now() < untilMs) continue;
      throw explain(path, cause as NodeJS.ErrnoException);
    }
}

function attempt(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
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
