/**
 * The loop pass and the one timer. Code that has something to flush or to step schedules a pass; it runs once, after every
 * stream that was readable has been read. What is due at a time of its own is an errand; the timer is set to the
 * earliest thing there is, and sleep is computed, never guessed. All times here are monotonic.
 */
import type { Clock } from '../time/clock.ts';
import { Deadlines, type Due } from '../time/deadlines.ts';

interface Errand extends Due {
  readonly run: () => void;
}

interface LoopWork {
  /** Everything that gathered since the last pass. */
  readonly pass: () => void;
  /** What is due by now, beside errands. */
  readonly due: (nowMs: number) => void;
  /** When the next of those is due, or `Infinity`. */
  readonly nextMs: () => number;
}

const lookMs = 10;

export class Loop {
  readonly #clock: Clock;
  readonly #work: LoopWork;
  readonly #errands = new Deadlines<Errand>();
  #scheduled = false;
  #stopped = false;

  constructor(clock: Clock, work: LoopWork) {
    this.#clock = clock;
    this.#work = work;
  }

  /** Schedules a pass for the end of this turn of the event loop. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => this.pass());
  }

  pass(): void {
    this.#scheduled = false;
    this.#work.pass();
    if (!this.#stopped) this.#clock.wakeAt(Math.min(this.#work.nextMs(), this.#errands.nextMs), () => this.#wake());
  }

  after(ms: number, run: () => void): void {
    this.#errands.set({ dueMs: 0, dueIndex: -1, run }, this.#clock.now().monotonicMs + ms);
    this.schedule();
  }

  every(intervalMs: number, run: () => void): void {
    const again = (): void => {
      run();
      this.after(intervalMs, again);
    };
    this.after(intervalMs, again);
  }

  /** Resolves when `done` says so. One look every 10 ms: for the way down, where nothing is hot. */
  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (done()) resolve();
        else this.after(lookMs, look);
      };
      look();
    });
  }

  /** Passes still run when they are scheduled; no timer wakes it any more. */
  stop(): void {
    this.#stopped = true;
    this.#clock.wakeAt(Number.POSITIVE_INFINITY, () => {});
  }

  #wake(): void {
    const nowMs = this.#clock.now().monotonicMs;
    this.#work.due(nowMs);
    for (let errand = this.#errands.popDue(nowMs); errand !== undefined; errand = this.#errands.popDue(nowMs))
      errand.run();
    this.pass();
  }
}
