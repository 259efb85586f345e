/**
 * Where the broker is, for every command: --socket > DEYE_SOCKET > deye.yaml here > the user's deye.yaml > default, as
 * the broker itself resolves it. A file costs a command only what it takes to read one key of it: all of the schema
 * would double the time that a submit takes, and is looked at when that key is not plain.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { defaultSocket, formatAddress, parseAddress } from '../transport/address.ts';

export interface Place {
  readonly socket: string;
  /** `--socket`, `DEYE_SOCKET`, the path of a configuration file, or `default`. */
  readonly origin: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export async function findBroker(socket: string | undefined, env: Environment = process.env): Promise<Place> {
  if (socket !== undefined) return { socket: absolute(socket), origin: '--socket' };
  if (env.DEYE_SOCKET) return { socket: absolute(env.DEYE_SOCKET), origin: 'DEYE_SOCKET' };
  const user = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'deye', 'deye.yaml');
  let read = false;
  for (const path of [env.DEYE_CONFIG || 'deye.yaml', user].map((file) => resolve(file))) {
    if (!existsSync(path) && path !== resolve(env.DEYE_CONFIG || '')) continue;
    read = true;
    const named = await socketIn(path);
    if (named === 'look closer') return looked(env);
    if (named !== undefined) return { socket: absolute(named, dirname(path)), origin: path };
  }
  // On Windows the state directory, which a file may name, leads to the pipe.
  return read && process.platform === 'win32' ? looked(env) : { socket: defaultSocket(env), origin: 'default' };
}

/** The socket that a file names, if it names one plainly. */
async function socketIn(path: string): Promise<string | 'look closer' | undefined> {
  try {
    const text = readFileSync(path, 'utf8');
    if (!text.includes('socket')) return undefined;
    const { parse } = await import('yaml');
    const values: unknown = parse(text);
    const socket = typeof values === 'object' && values !== null && 'socket' in values ? values.socket : undefined;
    return typeof socket === 'string' && socket !== '' ? socket : 'look closer';
  } catch {
    return 'look closer'; // which reports what is wrong with it
  }
}

/** The whole way, which refuses a file that is wrong. */
async function looked(env: Environment): Promise<Place> {
  const { loadConfiguration } = await import('../broker/configuration.ts');
  const { socket, origins } = await loadConfiguration({}, env);
  return { socket, origin: origins.get('socket') ?? 'default' };
}

/** The same place from every directory. */
const absolute = (socket: string, directory?: string): string => formatAddress(parseAddress(socket, directory));

/** Where a socket was named, for an error message; nothing when that is plain to see. */
export const namedIn = ({ origin }: Place): string =>
  origin === 'default' || origin === '--socket' ? '' : ` (socket of ${origin})`;
