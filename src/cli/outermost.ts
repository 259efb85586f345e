/** Errors that no command caught: of the help, of what is loaded before a command runs. */
import { Errors, handle } from '@oclif/core';
import { commandError, report } from './error.ts';
import { commandNotFound } from './not-found.ts';
import { wantsJson } from './wants-json.ts';

export async function end(error: Error, argv: readonly string[]): Promise<void> {
  if (error instanceof Errors.ExitError) return handle(error);
  const missing = /^Command (\S+) not found/i.exec(error.message)?.[1];
  const printed = missing === undefined ? commandError(error, '') : commandNotFound(missing);
  report(printed, wantsJson(argv));
  if (printed.code === 'internal' && process.env.DEYE_DEBUG !== undefined) process.stderr.write(`${error.stack}\n`);
}
