/**
 * The listening end of a Unix socket. A lock beside the socket is held as long as it listens, so that of several
 * brokers that find one stale socket only the holder removes it and binds. A socket that is removed under it, by a
 * cleaner of temporary files say, is made again within a second; connections that are open do not notice.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { createConnection, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { TransportError } from './error.ts';
import { lockFile } from './file-lock.ts';
import type { Address, Listener, ListenHandler } from './port.ts';
import { ensurePrivateDirectory, refuseDirectory } from './private-directory.ts';
import { serve } from './socket.ts';

/** The longest path a Unix socket may have, its closing zero not counted. */
const socketPathMax = process.platform === 'darwin' ? 103 : 107;
const lookEveryMs = 1000;

export class UnixListener implements Listener {
  readonly address: Address<'unix'>;
  readonly #handler: ListenHandler;
  readonly #lock: Disposable;
  readonly #timer: NodeJS.Timeout;
  #server: Server;
  #identity: string | undefined;
  /** What was reported last, so that a lasting problem is reported once. */
  #reported: string | undefined;
  #binding: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  static async open(address: Address<'unix'>, handler: ListenHandler): Promise<UnixListener> {
    const { path } = address;
    checkLength(path);
    refuseDirectory(path);
    ensurePrivateDirectory(dirname(path));
    const lock = lockFile(`${path}.lock`);
    if (lock === undefined)
      throw new TransportError(
        'socket_in_use',
        `Another broker holds ${path}. Choose another path with --socket, or stop that broker.`,
      );
    try {
      await removeStale(path);
      return new UnixListener(address, handler, lock, await serve(path, accepting(handler), handler.failed));
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(address: Address<'unix'>, handler: ListenHandler, lock: Disposable, server: Server) {
    this.address = address;
    this.#handler = handler;
    this.#lock = lock;
    this.#server = server;
    this.#identity = identityOf(address.path);
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #look(): void {
    const { path } = this.address;
    const there = identityOf(path);
    if (this.#binding !== undefined || (there !== undefined && there === this.#identity)) return;
    if (there === undefined)
      this.#binding = this.#bindAgain().finally(() => {
        this.#binding = undefined;
      });
    else this.#report('socket_in_use', `Another program replaced ${path}; clients reach that one.`);
  }

  async #bindAgain(): Promise<void> {
    const { path } = this.address;
    try {
      ensurePrivateDirectory(dirname(path));
      // First: closing removes whatever has the name.
      this.#server.close();
      this.#server = await serve(path, accepting(this.#handler), this.#handler.failed);
      this.#identity = identityOf(path);
      this.#reported = undefined;
      this.#report('socket_removed', `${path} was removed by another program; it was made again.`);
    } catch (error) {
      this.#report('socket_removed', `${path} was removed and cannot be made again: ${(error as Error).message}`);
    }
  }

  #report(code: TransportError['code'], message: string): void {
    if (this.#reported === message) return;
    this.#reported = message;
    this.#handler.failed(new TransportError(code, message));
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#binding !== undefined) await this.#binding;
    const there = identityOf(this.address.path);
    // Closing removes whatever has the name: the socket of another program must not go with ours.
    const replaced = there !== undefined && there !== this.#identity;
    const closed = replaced
      ? void this.#server.unref()
      : new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#lock[Symbol.dispose]();
    await closed;
  }
}

const accepting =
  ({ accept }: ListenHandler) =>
  (socket: Socket): void =>
    accept(socket, { scheme: 'unix', proof: 'directory' });

/** Throws when the system would cut the path of the socket short. */
function checkLength(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > socketPathMax)
    throw new TransportError(
      'socket_path_too_long',
      `The socket path is ${bytes} bytes long; this system takes ${socketPathMax}. Choose a shorter one with --socket or DEYE_SOCKET: ${path}`,
    );
}

/** Removes a socket without a listener: only a refused connection proves that, a slow broker is not a dead one. */
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
function probe(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('open');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined; // it, or a directory above it, is gone
  }
}
