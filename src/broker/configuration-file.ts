/** deye.yaml: its shape, and reading those that apply. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { placements } from '../core/placement.ts';
import { nearestName } from '../text/edit-distance.ts';
import { declarationSchema } from './collector-declaration.ts';
import { ConfigurationError } from './configuration-error.ts';

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;

export const configurationSchema = z.strictObject({
  socket: z.string().min(1).optional(),
  state_dir: z.string().min(1).optional(),
  log_level: z.enum(logLevels).optional(),
  routing: z.strictObject({ strategy: z.enum([...placements.keys()]) }).optional(),
  /** Checked against the table of limits by `limit-settings.ts`. */
  limits: z.record(z.string(), z.unknown()).optional(),
  collectors: z
    .array(declarationSchema)
    .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, 'two collectors have the same id')
    .optional(),
});
type ConfigurationFile = z.output<typeof configurationSchema>;

export interface ReadFile {
  readonly path: string;
  /** Where its relative paths start. */
  readonly directory: string;
  readonly values: ConfigurationFile;
}

/** The project's file before the user's. Rejects with a ConfigurationError. */
export async function readFiles(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ReadFile[]> {
  const named = given ?? (env.DEYE_CONFIG === '' ? undefined : env.DEYE_CONFIG);
  if (named !== undefined && !existsSync(named))
    throw new ConfigurationError(`The configuration file ${resolve(named)} is not there.`);
  const user = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'deye', 'deye.yaml');
  const paths = [...new Set([resolve(named ?? 'deye.yaml'), resolve(user)])].filter((path) => existsSync(path));
  if (paths.length === 0) return [];
  const { parse } = await import('yaml');
  return paths.map((path) => ({ path, directory: dirname(path), values: parseFile(path, parse) }));
}

function parseFile(path: string, parse: (text: string) => unknown): ConfigurationFile {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8')) ?? {};
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const what = code?.startsWith('E') === true ? 'cannot be read' : 'cannot be read as YAML';
    throw new ConfigurationError(`${path} ${what}: ${message.split('\n')[0]}`, { cause });
  }
  const values = configurationSchema.safeParse(content);
  if (values.success) return values.data;
  // A key that is misspelt explains why another one is missing.
  const { issues } = values.error;
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  const at = issue.path.map(String).join('.') || 'the file';
  if (issue.code !== 'unrecognized_keys') throw new ConfigurationError(`${path}: ${at}: ${issue.message}.`);
  const key = issue.keys[0]!;
  const known = nearestName(key, knownKeys(issue.path));
  throw new ConfigurationError(
    `${path}: ${at}: there is no key "${key}"${known === undefined ? '' : `; did you mean ${known}?`}`,
  );
}

const knownKeys = ([first, second]: readonly PropertyKey[]): readonly string[] =>
  first === undefined
    ? Object.keys(configurationSchema.shape)
    : first === 'collectors' && second !== undefined
      ? Object.keys(declarationSchema.shape)
      : ['strategy'];
