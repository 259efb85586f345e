/**
 * Where the broker is, for the broker itself, for every command and for every program with the SDK: a flag or an option
 * > the environment > deye.yaml here > the user's deye.yaml > the default.
 */
import { resolve } from 'node:path';
import { defaultSocket, defaultStateDir, formatAddress, parseAddress } from '../transport/address.ts';
import { TransportError } from '../transport/error.ts';
import { ConfigurationError } from './error.ts';
import { type ConfigurationFile, type Environment, readFiles } from './file.ts';

/** A value, and where it comes from: a flag, a variable, the path of a file, or `default`. */
export interface Found<T> {
  readonly value: T;
  readonly origin: string;
}
export type Candidate<T> = readonly [value: T | undefined, origin: string];

export interface PlaceFlags {
  readonly socket?: string | undefined;
  readonly stateDir?: string | undefined;
}

/**
 * What says which broker, and which store, is meant: of the socket and the state directory the one that is named at the
 * higher level; `both` are named at one.
 */
export type NamedBy = 'socket' | 'state-dir' | 'both' | 'default';

export interface FoundPlace {
  readonly socket: Found<string>;
  readonly stateDir: Found<string>;
  readonly namedBy: NamedBy;
}

const placeKeys = /socket|state_dir/;

/** The address of the socket, as text, the same from every directory. Rejects with a ConfigurationError. */
export async function findSocket(given?: string, env: Environment = process.env): Promise<Found<string>> {
  const isNamed = given !== undefined || present(env.DEYE_SOCKET) !== undefined;
  // On Windows the state directory leads to the pipe.
  const files = isNamed ? [] : await readFiles(undefined, env, placeKeys);
  return placeOf({ socket: given }, files, env).socket;
}

/** The same for both; a file that does not contain them is not parsed. */
export async function findPlace(flags: PlaceFlags = {}, env: Environment = process.env): Promise<FoundPlace> {
  return placeOf(flags, await readFiles(undefined, env, placeKeys), env);
}

/** Of both: what a flag, the environment or one of the files sets. Throws a ConfigurationError. */
export function placeOf(flags: PlaceFlags, files: readonly ConfigurationFile[], env: Environment): FoundPlace {
  const stateDir = firstOf<string>(
    [flags.stateDir, '--state-dir'],
    [present(env.DEYE_STATE_DIR), 'DEYE_STATE_DIR'],
    ...fromFiles(files, ({ values: { state_dir }, directory }) => state_dir && resolve(directory, state_dir)),
    [defaultStateDir(env), 'default'],
  );
  const socket = firstOf<string>(
    [address(flags.socket, '--socket'), '--socket'],
    [address(present(env.DEYE_SOCKET), 'DEYE_SOCKET'), 'DEYE_SOCKET'],
    ...fromFiles(files, ({ values, directory, path }) => address(values.socket, `${path}: socket`, directory)),
    [defaultSocket({ ...env, DEYE_SOCKET: undefined, DEYE_STATE_DIR: resolve(stateDir.value) }), 'default'],
  );
  const namedBy = higherOf(socket, stateDir, files);
  return { socket, stateDir: { ...stateDir, value: resolve(stateDir.value) }, namedBy };
}

function higherOf(socket: Found<string>, stateDir: Found<string>, files: readonly ConfigurationFile[]): NamedBy {
  const levels = [['--socket', '--state-dir'], ['DEYE_SOCKET', 'DEYE_STATE_DIR'], ...files.map(({ path }) => [path])];
  for (const origins of levels) {
    const [bySocket, byStateDir] = [origins.includes(socket.origin), origins.includes(stateDir.origin)];
    if (bySocket && byStateDir) return 'both';
    if (bySocket || byStateDir) return bySocket ? 'socket' : 'state-dir';
  }
  return 'default';
}

/** The first candidate that has a value; the last one is the default. */
export function firstOf<T>(...candidates: Candidate<T>[]): Found<T> {
  const [value, origin] = candidates.find(([candidate]) => candidate !== undefined) ?? candidates.at(-1)!;
  return { value: value as T, origin };
}

/** What each file sets, with the file. */
export const fromFiles = <T, File extends { readonly path: string }>(
  files: readonly File[],
  read: (file: File) => T | undefined,
): Candidate<T>[] => files.map((file) => [read(file), file.path]);

/** An empty variable is one that is not set. */
export const present = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

function address(text: string | undefined, origin: string, directory?: string): string | undefined {
  if (text === undefined) return undefined;
  try {
    return formatAddress(parseAddress(text, directory));
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new ConfigurationError(`${origin}: ${error.message}`, { cause: error });
  }
}
