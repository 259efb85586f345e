/**
 * A binary heap whose items carry their own place, so that moving or removing one costs O(log n) and no look-up. An
 * item is in at most one heap per place.
 */
export interface HeapOrder<T> {
  readonly before: (a: T, b: T) => boolean;
  /** The item's place; -1 while it is in no heap. */
  readonly indexOf: (item: T) => number;
  readonly setIndex: (item: T, index: number) => void;
}

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #order: HeapOrder<T>;

  constructor(order: HeapOrder<T>) {
    this.#order = order;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first in order. */
  get first(): T | undefined {
    return this.#items[0];
  }

  has(item: T): boolean {
    return this.#items[this.#order.indexOf(item)] === item;
  }

  /** Adds the item, or restores its place after its key changed. */
  set(item: T): void {
    let at = this.#order.indexOf(item);
    if (at === -1) {
      at = this.#items.length;
      this.#items.push(item);
      this.#order.setIndex(item, at);
    }
    this.#up(at);
    this.#down(this.#order.indexOf(item));
  }

  delete(item: T): void {
    const at = this.#order.indexOf(item);
    if (at === -1) return;
    const last = this.#items.pop()!;
    this.#order.setIndex(item, -1);
    if (last === item) return;
    this.#place(last, at);
    this.#up(at);
    this.#down(this.#order.indexOf(last));
  }

  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.delete(first);
    return first;
  }

  /** In no particular order. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#items[Symbol.iterator]();
  }

  #place(item: T, at: number): void {
    this.#items[at] = item;
    this.#order.setIndex(item, at);
  }

  #up(at: number): void {
    const item = this.#items[at]!;
    let hole = at;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#order.before(item, this.#items[parent]!)) break;
      this.#place(this.#items[parent]!, hole);
      hole = parent;
    }
    if (hole !== at) this.#place(item, hole);
  }

  #down(at: number): void {
    const item = this.#items[at]!;
    let hole = at;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= this.#items.length) break;
      if (child + 1 < this.#items.length && this.#order.before(this.#items[child + 1]!, this.#items[child]!)) child++;
      if (!this.#order.before(this.#items[child]!, item)) break;
      this.#place(this.#items[child]!, hole);
      hole = child;
    }
    if (hole !== at) this.#place(item, hole);
  }
}
