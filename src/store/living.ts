/**
 * Where what lives stands in the journal: for each object the batch of its last full record. The oldest of them holds its
 * segment; writing it again at the head lets that go.
 */

/** A task by its `seq`, a setting by its key, the counter of tasks, or the mark of expired ids. */
export type LivingKey = number | string;

export class Living {
  readonly #batchOf = new Map<LivingKey, number>();
  /** In order of their batches; an entry whose key has moved on since is stale. From `#first` on. */
  #keys: LivingKey[] = [];
  #batches: number[] = [];
  #first = 0;

  get size(): number {
    return this.#batchOf.size;
  }

  has(key: LivingKey): boolean {
    return this.#batchOf.has(key);
  }

  /** The full record of `key` stands in this batch. Batches never go down. */
  written(key: LivingKey, batch: number): void {
    this.#batchOf.set(key, batch);
    this.#keys.push(key);
    this.#batches.push(batch);
  }

  /** It lives no more; answers the batch that it still needs until its row is safe. */
  ended(key: LivingKey): number | undefined {
    const batch = this.#batchOf.get(key);
    this.#batchOf.delete(key);
    return batch;
  }

  /** The object with the oldest full record; undefined when nothing lives. */
  get oldest(): { readonly key: LivingKey; readonly batch: number } | undefined {
    while (this.#first < this.#keys.length) {
      const [key, batch] = [this.#keys[this.#first]!, this.#batches[this.#first]!];
      if (this.#batchOf.get(key) === batch) return { key, batch };
      this.#first++;
    }
    this.#compact();
    return undefined;
  }

  /** What has its full record in a batch up to this one, the oldest first. */
  *upTo(batch: number): Generator<LivingKey> {
    for (let at = this.#first; at < this.#keys.length && this.#batches[at]! <= batch; at++)
      if (this.#batchOf.get(this.#keys[at]!) === this.#batches[at]) yield this.#keys[at]!;
  }

  /** Forgets the stale front, when it is most of the queue. */
  #compact(): void {
    if (this.#first * 2 < this.#keys.length) return;
    this.#keys = this.#keys.slice(this.#first);
    this.#batches = this.#batches.slice(this.#first);
    this.#first = 0;
  }
}
