/**
 * The configuration: flags > environment (`DEYE_*`) > project file (`deye.yaml` here) > user file > defaults. Every
 * value knows where it came from. A file is parsed once and refused as a whole when a key is unknown or a value wrong.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { defaultLimits, type LimitName, type Limits, limitTable } from '../protocol/limits.ts';
import { identifierSchema } from '../protocol/schema.ts';
import { defaultSocket, defaultStateDir } from '../transport/address.ts';

const id = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 of a-z 0-9 _ -');
const configurableLimits = Object.entries(limitTable).filter(([, { configurable }]) => configurable);

const declaration = z
  .strictObject({
    id,
    type: id,
    /** A program and its arguments. Without it, the built-in collector of this type runs. */
    command: z.string().min(1).optional(),
    args: z.array(z.string()).default([]),
    env: z.record(z.string(), z.string()).default({}),
    working_dir: z.string().optional(),
    enabled: z.boolean().default(true),
    auto_restart: z.boolean().default(true),
    max_restarts: z.number().int().min(0).max(100).default(5),
    restart_window_ms: z.number().int().min(1000).default(60_000),
    backoff_ms: z.number().int().min(10).default(1000),
    startup_timeout_ms: z.number().int().min(100).default(60_000),
  })
  .refine(({ type, command }) => command !== undefined || builtinTypes.includes(type), {
    message: 'has no command and is no built-in type',
    path: ['type'],
  });
export type CollectorDeclaration = z.output<typeof declaration>;

/** The collectors that come with deye. */
export const builtinTypes = ['procmond'];

export const configurationSchema = z.strictObject({
  socket: z.string().optional(),
  state_dir: z.string().optional(),
  log_level: z.enum(['error', 'warn', 'info', 'debug', 'trace']).optional(),
  routing: z.strictObject({ strategy: identifierSchema }).optional(),
  limits: z
    .strictObject(Object.fromEntries(configurableLimits.map(([name]) => [name, z.number().int().min(1).optional()])))
    .optional(),
  collectors: z
    .array(declaration)
    .refine((all) => new Set(all.map((one) => one.id)).size === all.length, 'two collectors have the same id')
    .optional(),
});
type ConfigurationFile = z.output<typeof configurationSchema>;

export interface Configuration {
  readonly socket: string;
  readonly stateDir: string;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  readonly strategy: string | undefined;
  readonly limits: Limits;
  readonly collectors: readonly CollectorDeclaration[];
  /** Where each value came from, by its path. */
  readonly origins: ReadonlyMap<string, string>;
}

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code = 'configuration_invalid';
}

const defaultCollectors: readonly CollectorDeclaration[] = [declaration.parse({ id: 'procmond', type: 'procmond' })];

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
  const origins = new Map<string, string>();
  const files = [...(await readFiles(flags.file, env))];
  /** The first candidate that has a value; the last one is the default. */
  const pick = <T>(key: string, ...candidates: [value: T | undefined, origin: string][]): T => {
    const [value, origin] = candidates.find(([candidate]) => candidate !== undefined) ?? candidates.at(-1)!;
    origins.set(key, origin);
    return value as T;
  };
  const fromFiles = <K extends keyof ConfigurationFile>(key: K): [ConfigurationFile[K], string][] =>
    files.map(({ path, values }) => [values[key], path]);
  const limits: Record<string, number> = { ...defaultLimits };
  for (const [name] of configurableLimits) {
    const variable = `DEYE_LIMITS_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    const given = env[variable];
    if (given !== undefined && !/^[1-9]\d*$/.test(given))
      throw new ConfigurationError(`${variable} is ${JSON.stringify(given)}; it must be a positive whole number.`);
    limits[name] = pick<number>(
      `limits.${name}`,
      [given === undefined ? undefined : Number(given), variable],
      ...files.map(({ path, values }): [number | undefined, string] => [
        (values.limits as Record<string, number> | undefined)?.[name],
        path,
      ]),
      [defaultLimits[name as LimitName], 'default'],
    );
  }
  return {
    socket: resolve(
      pick('socket', [flags.socket, '--socket'], [env.DEYE_SOCKET, 'DEYE_SOCKET'], ...fromFiles('socket'), [
        defaultSocket(env),
        'default',
      ]),
    ),
    stateDir: resolve(
      pick(
        'state_dir',
        [flags.stateDir, '--state-dir'],
        [env.DEYE_STATE_DIR, 'DEYE_STATE_DIR'],
        ...fromFiles('state_dir'),
        [defaultStateDir(env), 'default'],
      ),
    ),
    logLevel: logLevel(
      pick(
        'log_level',
        [flags.logLevel, '--log-level'],
        [env.DEYE_LOG_LEVEL, 'DEYE_LOG_LEVEL'],
        ...fromFiles('log_level'),
        ['info', 'default'],
      ),
    ),
    strategy: pick(
      'routing.strategy',
      ...files.map(({ path, values }): [Configuration['strategy'], string] => [values.routing?.strategy, path]),
      [undefined, 'default'],
    ),
    limits: limits as unknown as Limits,
    collectors: pick('collectors', ...fromFiles('collectors'), [[...defaultCollectors], 'default']),
    origins,
  };
}

function logLevel(text: string): Configuration['logLevel'] {
  const parsed = z.enum(['error', 'warn', 'info', 'debug', 'trace']).safeParse(text);
  if (!parsed.success)
    throw new ConfigurationError(
      `The log level is ${JSON.stringify(text)}; it must be error, warn, info, debug or trace.`,
    );
  return parsed.data;
}

/** The project's file before the user's. */
async function readFiles(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ path: string; values: ConfigurationFile }[]> {
  const named = given ?? env.DEYE_CONFIG;
  if (named !== undefined && !existsSync(named))
    throw new ConfigurationError(`The configuration file ${named} is not there.`);
  const user = join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'deye', 'deye.yaml');
  const paths = [named ?? resolve('deye.yaml'), user].filter((path) => existsSync(path));
  if (paths.length === 0) return [];
  const { parse } = await import('yaml');
  return paths.map((path) => {
    let content: unknown;
    try {
      content = parse(readFileSync(path, 'utf8')) ?? {};
    } catch (cause) {
      throw new ConfigurationError(`${path} cannot be read as YAML: ${(cause as Error).message.split('\n')[0]}`, {
        cause,
      });
    }
    const values = configurationSchema.safeParse(content);
    if (!values.success) {
      const { path: key, message } = values.error.issues[0]!;
      throw new ConfigurationError(`${path}: ${key.map(String).join('.') || 'the file'}: ${message}.`);
    }
    return { path, values: values.data };
  });
}
