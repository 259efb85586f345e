/** deye.yaml: which files apply, and what stands in them. Of the YAML parser nothing is loaded where there is no file. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { nearestName } from '../text/edit-distance.ts';
import { ConfigurationError } from './error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The keys of a file. What the values of the others may be is the broker's to check. */
export const fileKeys = ['socket', 'state_dir', 'log_level', 'sync', 'routing', 'limits', 'collectors'] as const;
const pathKeys = ['socket', 'state_dir'] as const;
type PathValues = { readonly [Key in (typeof pathKeys)[number]]?: string | undefined };

export interface ConfigurationFile<Values extends PathValues = PathValues> {
  readonly path: string;
  /** Where its relative paths start. */
  readonly directory: string;
  readonly values: Values;
}

/**
 * The project's file before the user's; of those, the ones whose text matches `about`, if it is given: parsing costs
 * more than a command. Rejects with a ConfigurationError.
 */
export async function readFiles(
  given: string | undefined,
  env: Environment,
  about = /^/,
): Promise<ConfigurationFile[]> {
  const texts = filePaths(given, env).map((path) => ({ path, text: textOf(path) }));
  const matching = texts.filter(({ text }) => about.test(text));
  if (matching.length === 0) return [];
  const { parse } = await import('yaml');
  return matching.map(({ path, text }) => ({ path, directory: dirname(path), values: valuesOf(path, text, parse) }));
}

function filePaths(given: string | undefined, env: Environment): string[] {
  const named = given ?? (env.DEYE_CONFIG || undefined);
  if (named !== undefined && !existsSync(named))
    throw new ConfigurationError(`The configuration file ${resolve(named)} is not there.`);
  const user = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'deye', 'deye.yaml');
  return [named ?? 'deye.yaml', user]
    .filter(existsSync)
    .map((path) => resolve(path))
    .filter(isFirst);
}

const isFirst = (path: string, at: number, all: readonly string[]): boolean => all.indexOf(path) === at;

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function valuesOf(path: string, text: string, parse: (text: string) => unknown): PathValues {
  let content: unknown;
  try {
    content = parse(text) ?? {};
  } catch (cause) {
    const [line] = (cause as Error).message.split('\n');
    throw new ConfigurationError(`${path} cannot be read as YAML: ${line}`, { cause });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw new ConfigurationError(`${path}: the file must hold keys with values.`);
  const unknown = Object.keys(content).find((key) => !(fileKeys as readonly string[]).includes(key));
  if (unknown !== undefined) throw unknownKey(`${path}: the file`, unknown, fileKeys);
  for (const key of pathKeys) {
    const value = (content as Readonly<Record<string, unknown>>)[key];
    if (key in content && (typeof value !== 'string' || value === ''))
      throw new ConfigurationError(`${path}: ${key}: must be a path.`);
  }
  return content;
}

export function unknownKey(where: string, key: string, known: readonly string[]): ConfigurationError {
  const near = nearestName(key, known);
  const meant = near === undefined ? '' : `; did you mean ${near}?`;
  return new ConfigurationError(`${where}: there is no key "${key}"${meant}`);
}
