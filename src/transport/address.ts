/** Where things are: the socket and the state of this user's broker. Nothing here touches the disk. */
import { createHash } from 'node:crypto';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { TransportError } from './error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The longest path a Unix socket may have, its closing zero counted out. */
export const socketPathMax = process.platform === 'darwin' ? 103 : 107;

export const isPipe = (address: string): boolean => address.startsWith('\\\\.\\pipe\\');

/** `DEYE_SOCKET`, else `$XDG_RUNTIME_DIR/deye/broker.sock`, else in a directory of the user's own under the temporary one. */
export function defaultSocket(env: Environment = process.env): string {
  if (env.DEYE_SOCKET) return resolve(env.DEYE_SOCKET);
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, 'deye', 'broker.sock');
  return join(tmpdir(), `deye-${process.getuid?.() ?? userInfo().username}`, 'broker.sock');
}

/** `DEYE_STATE_DIR`, else `$XDG_STATE_HOME/deye`, else `~/.local/state/deye` (`%LOCALAPPDATA%\deye` on Windows). */
export function defaultStateDir(env: Environment = process.env): string {
  if (env.DEYE_STATE_DIR) return resolve(env.DEYE_STATE_DIR);
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, 'deye');
  if (process.platform === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'deye');
  return join(homedir(), '.local', 'state', 'deye');
}

/** The name of a pipe that nobody can guess: it is random, and kept in a file that only the user can read. */
export function pipeAddress(random: Uint8Array): string {
  return `\\\\.\\pipe\\deye-${createHash('sha256').update(random).digest('hex').slice(0, 32)}`;
}

/** Throws when the system would cut the path of the socket short. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > socketPathMax)
    throw new TransportError(
      'socket_path_too_long',
      `The socket path is ${bytes} bytes long; this system takes ${socketPathMax}. Choose a shorter one with --socket or DEYE_SOCKET: ${path}`,
    );
}
