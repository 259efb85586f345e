/** Flags that several commands have. */
import { Errors, Flags } from '@oclif/core';
import { exitCodes } from './exit.ts';

/** An empty value is that of a shell variable that is not set. */
export async function notEmpty(text: string): Promise<string> {
  if (text !== '') return text;
  throw new Errors.CLIError('its value is empty. Give it one, or leave the flag out.', { exit: exitCodes.usage });
}

/** Without `env`, so that a flag is told from a variable: which of them is meant, findPlace says. */
export const stateDirFlag = (what: string) =>
  Flags.directory({
    description: `${what}; else DEYE_STATE_DIR, else state_dir in deye.yaml`,
    parse: notEmpty,
  });

export const newStateDirFlag = Flags.directory({
  required: true,
  description: 'the state directory to make; store in it must be missing or empty',
  parse: notEmpty,
});
