/**
 * Named pipes, for Windows: they cannot be made private from Node, so the name is random and both ends prove that they
 * can read the user's own token file (`token.ts`). The name follows from the token; one file holds both. On other
 * systems the pipe is a Unix socket beside the token, so that all of this can be tried there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { TransportError } from './error.ts';
import type { Transport } from './port.ts';
import { ensurePrivateDirectory } from './private-directory.ts';
import { connectTo, serve } from './socket.ts';
import { proveAsBroker, proveAsClient } from './token.ts';

interface PipeIdentity {
  /** What the system knows the pipe by; it cannot be guessed. */
  readonly path: string;
  readonly secret: Buffer;
}

export const tokenFile = (directory: string): string => join(directory, 'token');

export const pipeTransport: Transport<'pipe'> = {
  scheme: 'pipe',
  async listen(address, { accept, failed, handshakeMs }) {
    const { path, secret } = makeIdentity(address.directory);
    const prove = (socket: Socket): void => {
      proveAsBroker(socket, secret, handshakeMs).then(() => accept(socket, { scheme: 'pipe', proof: 'token' }), failed);
    };
    const server = await serve(path, prove, failed);
    let closed: Promise<void> | undefined;
    const close = (): Promise<void> => {
      closed ??= new Promise((resolve) => server.close(() => resolve()));
      return closed;
    };
    return { address, close, [Symbol.asyncDispose]: close };
  },
  async dial(address, { timeoutMs }) {
    const { path, secret } = readIdentity(address.directory);
    const socket = await connectTo(path, timeoutMs);
    await proveAsClient(socket, secret, timeoutMs);
    return socket;
  },
};

/** A new name and token for a broker that starts; older ones are worthless from now on. */
export function makeIdentity(directory: string): PipeIdentity {
  if (process.platform === 'win32') mkdirSync(directory, { recursive: true });
  else {
    ensurePrivateDirectory(directory);
    rmSync(identityFrom(directory)?.path ?? '', { force: true }); // left behind by one that was killed
  }
  const secret = randomBytes(32);
  writeFileSync(tokenFile(directory), secret, { mode: 0o600 });
  return { path: pipePath(directory, secret), secret };
}

export function readIdentity(directory: string): PipeIdentity {
  const identity = identityFrom(directory);
  if (identity === undefined)
    throw new TransportError(
      'broker_not_running',
      `No broker of this user has been started with ${directory}. Start one with: deye broker start`,
    );
  return identity;
}

function identityFrom(directory: string): PipeIdentity | undefined {
  try {
    const secret = readFileSync(tokenFile(directory));
    return { path: pipePath(directory, secret), secret };
  } catch {
    return undefined; // no broker was started here, or not by this user
  }
}

function pipePath(directory: string, secret: Uint8Array): string {
  const name = `deye-${createHash('sha256').update(secret).digest('hex').slice(0, 32)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(directory, name);
}
