/** Values that people give as arguments: JSON, `-` for standard input, `@file`, `key=value`, durations. */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { UsageError } from './error.ts';
import { jsonFlaw, parseExactly } from './json-text.ts';

/** Reads JSON from the argument itself, from standard input (`-`) or from a file (`@path`). */
export async function readJson(argument: string, what: string): Promise<unknown> {
  const file = argument.startsWith('@') ? argument.slice(1) : undefined;
  const source = argument === '-' ? await text(process.stdin) : file === undefined ? argument : readText(file, what);
  try {
    return parseExactly(source, (why) => {
      throw new UsageError(`The ${what} holds ${why}`);
    });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    // The parser's message is not the cause: it quotes what it read.
    const flaw = jsonFlaw(source);
    if (flaw === undefined) throw new UsageError(`The ${what} is nested too deeply.`);
    const where = `at line ${flaw.line}, column ${flaw.column}`;
    if (argument === '-') throw new UsageError(`The ${what} on standard input is not JSON ${where}.`);
    if (file !== undefined) throw new UsageError(`The ${what} in ${file} is not JSON ${where}.`);
    throw new UsageError(`The ${what} is not JSON ${where}. A text needs its quotes: '"like this"'.`);
  }
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EISDIR: 'it is a directory',
      EACCES: 'you may not read it',
    };
    throw new UsageError(`The ${what} cannot be read from ${path}: ${reasons[code] ?? message}.`, { cause });
  }
}

/** `a=1 b=2` as a map. */
export function readPairs(arguments_: readonly string[] | undefined, what: string): Record<string, string> {
  return Object.fromEntries(
    (arguments_ ?? []).map((one) => {
      const at = one.indexOf('=');
      if (at < 1) throw new UsageError(`The ${what} ${JSON.stringify(one)} must be written key=value.`);
      return [one.slice(0, at), one.slice(at + 1)];
    }),
  );
}

const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** The description of a flag that `readDuration` reads, with how one is written. */
export const durationHelp = (what: string): string => `${what}, such as 500ms, 30s, 2m or 1h`;

/** `500ms`, `2s`, `5m`, `1h`, `7d` in ms. A number without a unit would be read in different ways; only 0 needs none. */
export function readDuration(argument: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(argument) ?? [];
  if (number === undefined)
    throw new UsageError(`${JSON.stringify(argument)} is no duration. Write 500ms, 30s, 5m, 2h or 7d.`);
  if (unit === undefined && Number(number) !== 0)
    throw new UsageError(
      `The duration ${number} has no unit. Write ${number}s for seconds, or ${number}ms, ${number}m, ${number}h.`,
    );
  return Math.round(Number(number) * unitsMs[(unit ?? 'ms') as keyof typeof unitsMs]);
}
