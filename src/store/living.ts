/**
 * Where what lives stands in the journal: for each object the batch of its last full record. The oldest of them holds its
 * segment; writing it again at the head lets that go.
 */

/** A task by its `seq`, a setting by its key, the counter of tasks, or the mark of expired ids. */
export type LivingKey = number | string;

/** Fewer entries than this are not worth dropping. */
const entriesMin = 1024;

export class Living {
  readonly #batchOf = new Map<LivingKey, number>();
  /** In order of their batches; an entry whose key has moved on since is stale. All before `#first` are. */
  #keys: LivingKey[] = [];
  #batches: number[] = [];
  #first = 0;

  get size(): number {
    return this.#batchOf.size;
  }

  /** What it holds in memory: never much more than twice what lives. */
  get entries(): number {
    return this.#keys.length;
  }

  has(key: LivingKey): boolean {
    return this.#batchOf.has(key);
  }

  /** The full record of `key` stands in this batch. Batches never go down. */
  written(key: LivingKey, batch: number): void {
    this.#batchOf.set(key, batch);
    this.#keys.push(key);
    this.#batches.push(batch);
    if (this.#keys.length > entriesMin && this.#keys.length > 2 * this.#batchOf.size) this.#dropStale();
  }

  /** It lives no more; answers the batch that it still needs until its row is safe. */
  ended(key: LivingKey): number | undefined {
    const batch = this.#batchOf.get(key);
    this.#batchOf.delete(key);
    return batch;
  }

  /** The object with the oldest full record; undefined when nothing lives. */
  get oldest(): { readonly key: LivingKey; readonly batch: number } | undefined {
    for (; this.#first < this.#keys.length; this.#first++) {
      const [key, batch] = [this.#keys[this.#first]!, this.#batches[this.#first]!];
      if (this.#batchOf.get(key) === batch) return { key, batch };
    }
    return undefined;
  }

  /** What has its full record in a batch up to this one, the oldest first; what is written meanwhile is not among it. */
  *upTo(batch: number): Generator<LivingKey> {
    const [keys, batches] = [this.#keys, this.#batches]; // dropping what is stale makes new ones
    for (let at = this.#first; at < keys.length && batches[at]! <= batch; at++)
      if (this.#batchOf.get(keys[at]!) === batches[at]) yield keys[at]!;
  }

  #dropStale(): void {
    const isCurrent = (at: number): boolean => this.#batchOf.get(this.#keys[at]!) === this.#batches[at];
    const keys = this.#keys.filter((_, at) => isCurrent(at));
    this.#batches = this.#batches.filter((_, at) => isCurrent(at));
    this.#keys = keys;
    this.#first = 0;
  }
}
