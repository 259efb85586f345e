/** Things that are due, earliest first. The owner reads `nextMs` to know how long to sleep. */
import { Heap, type HeapOrder } from './heap.ts';

export interface Due {
  /** When it is due, in monotonic milliseconds. Change it only through `set`. */
  dueMs: number;
  /** Its place in the heap; -1 while it is in none. */
  dueIndex: number;
}

const order: HeapOrder<Due> = {
  before: (a, b) => a.dueMs < b.dueMs,
  indexOf: ({ dueIndex }) => dueIndex,
  setIndex: (item, index) => {
    item.dueIndex = index;
  },
};

export class Deadlines<T extends Due> {
  readonly #heap = new Heap<T>(order);

  get size(): number {
    return this.#heap.size;
  }

  /** When the earliest is due, or `Infinity`. */
  get nextMs(): number {
    return this.#heap.first?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Adds the item, or moves it when it is already here. */
  set(item: T, dueMs: number): void {
    item.dueMs = dueMs;
    this.#heap.set(item);
  }

  delete(item: T): void {
    this.#heap.delete(item);
  }

  /** Removes and returns the earliest item that is due at `nowMs`. */
  popDue(nowMs: number): T | undefined {
    const first = this.#heap.first;
    return first === undefined || first.dueMs > nowMs ? undefined : this.#heap.pop();
  }
}
