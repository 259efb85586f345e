/**
 * Virtual time: events in the order of their moment and, within one, of their making. Between two events everything
 * that the first one caused has run to its end, promises and ticks included.
 */
import { Heap } from '../../src/time/heap.ts';

/** More events than anything does in one moment: somebody wakes itself again and again. */
const stillMax = 10_000;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  index: number;
}

export class Timeline {
  /** Monotonic; a start of its own, so that nobody takes it for wall time. */
  nowMs = 1000;
  /** Events that ran. */
  count = 0;
  #order = 0;
  /** Events since time last moved. */
  #still = 0;
  readonly #events = new Heap<Event>({
    before: (a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order),
    indexOf: ({ index }) => index,
    setIndex: (event, index) => {
      event.index = index;
    },
  });

  at(atMs: number, run: () => void): void {
    this.#events.set({ atMs: Math.max(atMs, this.nowMs), order: this.#order++, run, index: -1 });
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  /** Runs events until `done`, or until there are none. Rejects with what an event throws. */
  run(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        try {
          if (done()) return resolve();
          const event = this.#events.pop();
          if (event === undefined) return resolve();
          if (event.atMs > this.nowMs) this.#still = 0;
          else if (++this.#still > stillMax) throw new Error(`time stands still at ${this.nowMs}`);
          this.nowMs = event.atMs;
          this.count++;
          event.run();
        } catch (error) {
          return reject(error);
        }
        setImmediate(next);
      };
      setImmediate(next);
    });
  }
}
