/**
 * A binary heap of things that are due, earliest first. Each thing carries its own place in the heap, so moving or
 * removing one costs O(log n) and no look-up. One owner per heap; the owner asks `nextMs` how long to sleep.
 */
export interface Due {
  /** When it is due, in the owner's milliseconds. Change it only through `set`. */
  dueMs: number;
  /** Its index in the heap; -1 when it is in none. */
  dueIndex: number;
}

export class Deadlines<T extends Due> {
  #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** When the earliest is due, or `Infinity`. */
  get nextMs(): number {
    return this.#heap[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Adds `item`, or moves it when it is already here. */
  set(item: T, dueMs: number): void {
    item.dueMs = dueMs;
    if (item.dueIndex === -1) {
      item.dueIndex = this.#heap.length;
      this.#heap.push(item);
    }
    this.#up(item.dueIndex);
    this.#down(item.dueIndex);
  }

  delete(item: T): void {
    const at = item.dueIndex;
    if (at === -1) return;
    const last = this.#heap.pop()!;
    item.dueIndex = -1;
    if (last === item) return;
    this.#place(last, at);
    this.#up(at);
    this.#down(last.dueIndex);
  }

  /** Takes out and returns the earliest item that is due at `nowMs`. */
  popDue(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    this.delete(first);
    return first;
  }

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.dueIndex = at;
  }

  #up(at: number): void {
    const item = this.#heap[at]!;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent]!;
      if (above.dueMs <= item.dueMs) break;
      this.#place(above, at);
      at = parent;
    }
    this.#place(item, at);
  }

  #down(at: number): void {
    const item = this.#heap[at]!;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#heap[child + 1]!.dueMs < this.#heap[child]!.dueMs) child++;
      if (this.#heap[child]!.dueMs >= item.dueMs) break;
      this.#place(this.#heap[child]!, at);
      at = child;
    }
    this.#place(item, at);
  }
}
