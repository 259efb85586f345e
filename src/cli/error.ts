/** Errors as a command ends with them: one line for people, an object for programs, and the exit code. */
import { getSystemErrorMessage } from 'node:util';
import { Errors } from '@oclif/core';
import { jsonOf } from '../text/json.ts';
import { plain, plainLines } from '../text/plain.ts';
import { exitCodes, exitOf } from './exit.ts';

/** A refusal by the command itself. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'usage';
}

export interface CommandError {
  readonly code: string;
  readonly message: string;
  readonly exit: number;
}

/** `command` is what the user typed after `deye`, for the pointer to its help. */
export function commandError(error: Error & { readonly code?: string }, command: string): CommandError {
  if (error instanceof Errors.CLIError)
    return {
      code: 'usage',
      message: `${parseErrorText(error)} See: deye ${command === '' ? '' : `${command} `}--help`,
      exit: error.oclif.exit ?? exitCodes.usage,
    };
  const code = error.code ?? 'internal';
  return { code, message: fileErrorText(error) ?? error.message, exit: exitOf(code) };
}

/** What the system says of a file that nobody has explained better; undefined for another error. */
function fileErrorText({ code, path, errno }: NodeJS.ErrnoException): string | undefined {
  if (path === undefined || errno === undefined) return undefined;
  const why = code === 'ENOTDIR' ? 'something on the way to it is not a directory' : getSystemErrorMessage(errno);
  return `${path} cannot be used: ${why}. See that it can, or name another place.`;
}

/** oclif explains over several lines, with tabs and lists; this is the same in one sentence. */
function parseErrorText(error: Error): string {
  const { message } = error;
  if (message.startsWith('Missing') && 'args' in error && Array.isArray(error.args)) {
    const missing = error.args.map(
      ({ name, description }: { readonly name: string; readonly description?: string }) =>
        `${name.toUpperCase()}${description === undefined ? '' : ` (${description})`}`,
    );
    return `Missing ${missing.length === 1 ? 'argument' : 'arguments'} ${missing.join(', ')}.`;
  }
  const line = message
    .replace(/\n?See more help with --help$/, '')
    .replace(/^Parsing (--\S+)\s+/, '$1: ')
    .replace(/^Nonexistent flag/, 'Unknown flag')
    .replace(/^The following errors? occurred:/, '')
    .replace(/\s+/g, ' ')
    .trim();
  return /[.?!]$/.test(line) ? line : `${line}.`;
}

/** Writes to standard error, and sets the exit code. */
export function report(
  { code, message, exit }: CommandError,
  asJson: boolean,
  more: Record<string, unknown> = {},
): void {
  process.stderr.write(
    asJson
      ? `${jsonOf({ error: { code, message, ...more } })}\n`
      : `deye: ${plainLines(message, 2000)} [${plain(code, 80)}]\n`,
  );
  process.exitCode = exit;
}
