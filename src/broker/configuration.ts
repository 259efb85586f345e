/**
 * The configuration: flags > environment (`DEYE_*`) > project file (`deye.yaml` here) > user file > defaults. Every
 * value knows where it came from. A file is parsed once and refused as a whole when a key is unknown or a value wrong.
 * A relative path in a file is taken from the directory of that file, so that it means the same from everywhere.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { ConfigurationError } from '../configuration/error.ts';
import { type Environment, readFiles } from '../configuration/file.ts';
import {
  type Candidate,
  firstOf,
  fromFiles,
  type NamedBy,
  type PlaceFlags,
  placeOf,
  present,
} from '../configuration/place.ts';
import type { Limits } from '../protocol/limits.ts';
import { addressOf } from '../protocol/store-address.ts';
import { storeIn } from '../store/layout.ts';
import { type CollectorDeclaration, declarationSchema } from './collector-declaration.ts';
import { type CheckedFile, checkFile, diskSyncs, logLevels } from './configuration-schema.ts';
import { limitCandidates, resolveLimits } from './limit-settings.ts';

type LogLevel = (typeof logLevels)[number];

export interface Configuration {
  /** The address of the socket, as text. */
  readonly socket: string;
  readonly stateDir: string;
  readonly namedBy: NamedBy;
  /** Where tasks are kept, for `openStore`. */
  readonly store: string;
  readonly logLevel: LogLevel;
  readonly sync: (typeof diskSyncs)[number];
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

export interface Overrides extends PlaceFlags {
  readonly logLevel?: string | undefined;
  /** A configuration file to read instead of the project's. */
  readonly file?: string | undefined;
}

/** Reads everything once. Rejects with a ConfigurationError that names the file, the key and the rule. */
export async function loadConfiguration(flags: Overrides, env: Environment = process.env): Promise<Configuration> {
  const files = (await readFiles(flags.file, env)).map(checkFile);
  const { socket, stateDir, namedBy } = placeOf(flags, files, env);
  const paths = files.map(({ path }) => path);
  const origins = new Map([
    ['files', paths.length === 0 ? 'none' : paths.join(', ')],
    ['socket', socket.origin],
    ['state_dir', stateDir.origin],
  ]);
  const pick = <T>(key: string, ...candidates: Candidate<T>[]): T => {
    const { value, origin } = firstOf(...candidates);
    origins.set(key, origin);
    return value;
  };
  return {
    socket: socket.value,
    stateDir: stateDir.value,
    namedBy,
    store: addressOf(storeIn(stateDir.value)),
    logLevel: logLevel(
      pick<string>(
        'log_level',
        [flags.logLevel, '--log-level'],
        [present(env.DEYE_LOG_LEVEL), 'DEYE_LOG_LEVEL'],
        ...fromFiles(files, ({ values }) => values.log_level),
        ['info', 'default'],
      ),
    ),
    sync: sync(
      pick<string>('sync', [present(env.DEYE_SYNC), 'DEYE_SYNC'], ...fromFiles(files, ({ values }) => values.sync), [
        'batch',
        'default',
      ]),
    ),
    strategy: pick<string | undefined>(
      'routing.strategy',
      ...fromFiles(files, ({ values }) => values.routing?.strategy),
      [undefined, 'default'],
    ),
    limits: resolveLimits(limitCandidates(files, env), origins),
    collectors: pick('collectors', ...fromFiles(files, declared), [[...defaultCollectors], 'default']),
    origins,
    files: paths,
  };
}

/** A collector of the user's own runs where its file lies, unless it sets another directory. */
const declared = ({ values, directory }: CheckedFile): readonly CollectorDeclaration[] | undefined =>
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

function sync(text: string): (typeof diskSyncs)[number] {
  const parsed = z.enum(diskSyncs).safeParse(text);
  if (!parsed.success)
    throw new ConfigurationError(
      `sync is ${JSON.stringify(text)}; it must be batch (synced before every answer) or 100ms (a power failure may take the last 100 ms).`,
    );
  return parsed.data;
}
