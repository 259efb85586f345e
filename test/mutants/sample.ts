/** A random sample that a seed repeats. */
export function sample<T>(items: readonly T[], count: number, seed: number): T[] {
  const random = mulberry32(seed);
  const drawn = new Set<number>();
  const order = items.map((_, at) => at);
  for (let at = 0; at < Math.min(count, items.length); at++) {
    const other = at + Math.floor(random() * (order.length - at));
    [order[at], order[other]] = [order[other]!, order[at]!];
    drawn.add(order[at]!);
  }
  return items.filter((_, at) => drawn.has(at));
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
