/** The name that was probably meant. */

/** Undefined when none is within a third of the length. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const scored = known.map((one) => [distance(name, one), one] as const).sort(([a], [b]) => a - b);
  const [best] = scored;
  return best !== undefined && best[0] <= Math.max(2, name.length / 3) ? best[1] : undefined;
}

/** Levenshtein's: insertions, deletions and replacements. */
function distance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++)
      current.push(
        Math.min(
          previous[column]! + 1,
          current[column - 1]! + 1,
          previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1),
        ),
      );
    previous = current;
  }
  return previous[to.length]!;
}
