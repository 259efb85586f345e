/** How far two words are apart. */

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

/** The known name that was probably meant: undefined when none is within a third of the length. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const scored = known.map((one) => [editDistance(name, one), one] as const).sort(([a], [b]) => a - b);
  const [best] = scored;
  return best !== undefined && best[0] <= Math.max(2, name.length / 3) ? best[1] : undefined;
}
