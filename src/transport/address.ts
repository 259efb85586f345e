/** Addresses as text, and where the socket and the state of this user's broker are. Nothing here touches the disk. */
import { homedir, tmpdir, userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { TransportError } from './error.ts';
import type { Address, Scheme } from './port.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** How an address is written, by scheme. */
const addressForms: Readonly<Record<Scheme, string>> = {
  unix: 'PATH or unix:PATH',
  pipe: 'pipe:DIRECTORY',
  memory: 'memory:NAME',
};

/**
 * A path is a Unix socket; `unix:PATH`, `pipe:DIRECTORY` and `memory:NAME` name their transport. Relative paths are
 * taken from `directory`. Throws a TransportError `bad_address`.
 */
export function parseAddress(text: string, directory = process.cwd()): Address {
  const refuse = (why: string): never => {
    throw new TransportError(
      'bad_address',
      `The address ${JSON.stringify(text)} ${why}. An address is ${Object.values(addressForms).join(', ')}.`,
    );
  };
  // One letter is a drive of Windows.
  const { scheme = 'unix', rest = text } = /^(?<scheme>[a-z][a-z0-9+.-]+):(?<rest>.*)$/is.exec(text)?.groups ?? {};
  if (rest === '') return refuse('is empty');
  if (text.includes('\0')) return refuse('has a zero byte in it');
  switch (scheme.toLowerCase()) {
    case 'unix':
      if (rest.startsWith('\\\\.\\pipe\\')) return refuse('is a pipe without its token');
      return { scheme: 'unix', path: resolve(directory, rest) };
    case 'pipe':
      return { scheme: 'pipe', directory: resolve(directory, rest) };
    case 'memory':
      return { scheme: 'memory', name: rest };
    default:
      return refuse(`names the transport "${scheme}", which does not exist (write ./ before a path with a colon)`);
  }
}

/** The text that `parseAddress` makes the same address of, wherever it is read. */
export function formatAddress(address: Address): string {
  switch (address.scheme) {
    case 'unix':
      return isAbsolute(address.path) ? address.path : `unix:${address.path}`;
    case 'pipe':
      return `pipe:${address.directory}`;
    case 'memory':
      return `memory:${address.name}`;
  }
}

/**
 * `DEYE_SOCKET`, else `$XDG_RUNTIME_DIR/deye/broker.sock`, else in a directory of the user's own under the temporary
 * one; on Windows the pipe whose token is in the state directory.
 */
export function defaultSocket(env: Environment = process.env): string {
  if (env.DEYE_SOCKET) return formatAddress(parseAddress(env.DEYE_SOCKET));
  if (process.platform === 'win32') return formatAddress({ scheme: 'pipe', directory: defaultStateDir(env) });
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
