/** Values that people give as arguments: JSON, `-` for standard input, `@file`, `key=value`. */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { UsageError } from './command.ts';

/** Reads JSON from the argument itself, from standard input (`-`) or from a file (`@path`). */
export async function readJson(argument: string, what: string): Promise<unknown> {
  const source =
    argument === '-'
      ? await text(process.stdin)
      : argument.startsWith('@')
        ? readFileSync(argument.slice(1), 'utf8')
        : argument;
  try {
    return JSON.parse(source);
  } catch (cause) {
    throw new UsageError(
      `The ${what} is not JSON: ${(cause as Error).message}. A text needs its quotes: '"like this"'.`,
      { cause },
    );
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

/** `250`, `2s`, `5m`, `1h`, `7d` in ms. */
export function readDuration(argument: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(argument);
  if (match === null)
    throw new UsageError(`${JSON.stringify(argument)} is no duration. Write 500ms, 30s, 5m, 2h or 7d.`);
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? 'ms']!;
  return Math.round(Number(match[1]) * unit);
}
