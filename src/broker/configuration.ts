/**
 * The configuration: flags > environment (`DEYE_*`) > project file (`deye.yaml` here) > user file > defaults. Every
 * value knows where it came from. A file is parsed once and refused as a whole when a key is unknown or a value wrong.
 * A relative path in a file is taken from the directory of that file, so that it means the same from everywhere.
 */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { Limits } from '../protocol/limits.ts';
import { defaultSocket, defaultStateDir, formatAddress, parseAddress } from '../transport/address.ts';
import { TransportError } from '../transport/error.ts';
import { type CollectorDeclaration, declarationSchema } from './collector-declaration.ts';
import { ConfigurationError } from './configuration-error.ts';
import { logLevels, type ReadFile, readFiles } from './configuration-file.ts';
import { limitCandidates, resolveLimits } from './limit-settings.ts';

type LogLevel = (typeof logLevels)[number];

export interface Configuration {
  /** The address of the socket, as text. */
  readonly socket: string;
  readonly stateDir: string;
  /** Where tasks are kept, for `openStore`. */
  readonly store: string;
  readonly logLevel: LogLevel;
  readonly strategy: string | undefined;
  readonly limits: Limits;
  readonly collectors: readonly CollectorDeclaration[];
  /** Where each value came from, by its path; under `files`, the files that were read, the one that wins first. */
  readonly origins: ReadonlyMap<string, string>;
  /** The files that were read, the one that wins first. */
  readonly files: readonly string[];
}

const defaultCollectors: readonly CollectorDeclaration[] = [
  declarationSchema.parse({ id: 'procmond', type: 'procmond' }),
];

export interface Overrides {
  readonly socket?: string | undefined;
  readonly stateDir?: string | undefined;
  readonly logLevel?: string | undefined;
  /** A configuration file to read instead of the project's. */
  readonly file?: string | undefined;
}

/** Reads everything once. Rejects with a ConfigurationError that names the file, the key and the rule. */
export async function loadConfiguration(
  flags: Overrides,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Configuration> {
  const files = await readFiles(flags.file, env);
  const origins = new Map<string, string>();
  const paths = files.map(({ path }) => path);
  origins.set('files', paths.length === 0 ? 'none' : paths.join(', '));
  /** The first candidate that has a value; the last one is the default. */
  const pick = <T>(key: string, ...candidates: [value: T | undefined, origin: string][]): T => {
    const [value, origin] = candidates.find(([candidate]) => candidate !== undefined) ?? candidates.at(-1)!;
    origins.set(key, origin);
    return value as T;
  };
  /** What each file says of a key, with the file. */
  const fromFiles = <T>(read: (file: ReadFile) => T | undefined): [T | undefined, string][] =>
    files.map((file) => [read(file), file.path]);
  const path = (key: 'state_dir') =>
    fromFiles(({ values, directory }) => (values[key] === undefined ? undefined : resolve(directory, values[key])));

  const stateDir = resolve(
    pick(
      'state_dir',
      [flags.stateDir, '--state-dir'],
      [present(env.DEYE_STATE_DIR), 'DEYE_STATE_DIR'],
      ...path('state_dir'),
      [defaultStateDir(env), 'default'],
    ),
  );
  return {
    socket: pick(
      'socket',
      [address(flags.socket, '--socket'), '--socket'],
      [address(present(env.DEYE_SOCKET), 'DEYE_SOCKET'), 'DEYE_SOCKET'],
      ...fromFiles(({ values, directory, path }) => address(values.socket, `${path}: socket`, directory)),
      [defaultSocket({ ...env, DEYE_SOCKET: undefined, DEYE_STATE_DIR: stateDir }), 'default'],
    ),
    stateDir,
    store: `sqlite:${join(stateDir, 'deye.db')}`,
    logLevel: logLevel(
      pick(
        'log_level',
        [flags.logLevel, '--log-level'],
        [present(env.DEYE_LOG_LEVEL), 'DEYE_LOG_LEVEL'],
        ...fromFiles(({ values }): string | undefined => values.log_level),
        ['info', 'default'],
      ),
    ),
    strategy: pick('routing.strategy', ...fromFiles(({ values }) => values.routing?.strategy), [undefined, 'default']),
    limits: resolveLimits(limitCandidates(files, env), origins),
    collectors: pick('collectors', ...fromFiles(declared), [[...defaultCollectors], 'default']),
    origins,
    files: paths,
  };
}

/** An empty variable is one that is not set. */
const present = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

function address(text: string | undefined, origin: string, directory?: string): string | undefined {
  if (text === undefined) return undefined;
  try {
    return formatAddress(parseAddress(text, directory));
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new ConfigurationError(`${origin}: ${error.message}`, { cause: error });
  }
}

/** A collector of the user's own runs where its file lies, unless it says otherwise. */
const declared = ({ values, directory }: ReadFile): readonly CollectorDeclaration[] | undefined =>
  values.collectors?.map((one) =>
    one.command === undefined && one.working_dir === undefined
      ? one
      : { ...one, working_dir: resolve(directory, one.working_dir ?? '.') },
  );

function logLevel(text: string): LogLevel {
  const parsed = z.enum(logLevels).safeParse(text);
  if (!parsed.success)
    throw new ConfigurationError(
      `The log level is ${JSON.stringify(text)}; it must be error, warn, info, debug or trace.`,
    );
  return parsed.data;
}
