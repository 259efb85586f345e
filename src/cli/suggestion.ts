/** Which command was meant. */

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

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      next[j] = Math.min(
        row[j]! + 1,
        next[j - 1]! + 1,
        row[j - 1]! + (same ? 0 : 1),
        swapped ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = row;
    row = next;
  }
  return row[to.length]!;
}
