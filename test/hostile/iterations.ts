/** Counts the items that are walked over in collections: work that can be compared without a clock. */
type Collection = Map<unknown, unknown> | Set<unknown>;

interface Iterations {
  count: number;
}

export function countIterations(...collections: readonly Collection[]): Iterations {
  const iterations: Iterations = { count: 0 };
  for (const collection of collections)
    for (const name of ['values', 'keys', 'entries', Symbol.iterator] as const) {
      const walk = collection[name] as () => IterableIterator<unknown>;
      Object.defineProperty(collection, name, {
        value: function* (this: Collection) {
          for (const item of { [Symbol.iterator]: () => walk.call(this) }) {
            iterations.count++;
            yield item;
          }
        },
      });
    }
  return iterations;
}
