/** Words that are no command, and oclif's hook for them. */
import type { Hook } from '@oclif/core';
import { type CommandError, report } from './error.ts';
import { exitCodes } from './exit.ts';
import { suggestions } from './suggestion.ts';
import { wantsJson } from './wants-json.ts';

/** `known` are the ids of the commands; both as oclif spells them, with colons. */
export function commandNotFound(id: string, known: readonly string[] = []): CommandError & { suggestions: string[] } {
  const typed = words(id);
  const near = suggestions(typed, known.map(words)).map((command) => `deye ${command}`);
  const meant = near.length === 0 ? '' : ` Did you mean ${near.map((command) => `"${command}"`).join(' or ')}?`;
  const message = `There is no command "${typed}".${meant} All commands: deye --help`;
  return { code: 'usage', message, exit: exitCodes.usage, suggestions: near };
}

const words = (id: string): string => id.replaceAll(':', ' ');

const hook: Hook.CommandNotFound = async ({ id, config }) => {
  const known = config.commands
    .filter(({ hidden }) => hidden !== true)
    .flatMap((command) => [command.id, ...command.aliases]);
  const { suggestions: near, ...error } = commandNotFound(id, known);
  report(error, wantsJson(process.argv.slice(2)), { suggestions: near });
};

export default hook;
