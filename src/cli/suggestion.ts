/** Which command was meant. */
import { editDistance } from '../text/edit-distance.ts';

/** More edits than these make another word. */
const nearest = 2;

/** The commands nearest to what was typed, the nearest first; none when nothing is near. All are words with spaces. */
export function suggestions(typed: string, commands: readonly string[], most = 3): string[] {
  const words = typed.split(' ');
  return commands
    .map((command) => {
      const parts = command.split(' ');
      // What follows the words of a command may be its arguments; and the noun may be missing.
      const compared = words.slice(0, parts.length).join(' ');
      const whole = editDistance(compared, command) + (words.length > parts.length ? 1 : 0);
      const verb = parts.length > 1 ? editDistance(typed, parts.at(-1)!) + 1 : whole;
      return { command, distance: Math.min(whole, verb) };
    })
    .filter(({ distance }) => distance <= nearest)
    .sort((a, b) => a.distance - b.distance || (a.command < b.command ? -1 : 1))
    .slice(0, most)
    .map(({ command }) => command);
}
