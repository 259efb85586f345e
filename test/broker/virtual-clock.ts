/** A clock that moves only when it is told to. For brokers whose streams are in this process. */
import type { Clock } from '../../src/time/clock.ts';
import type { Now } from '../../src/time/now.ts';

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** So many turns of the loop and whatever was written has been read, answered and read again. */
const turnsToSettle = 12;

export class VirtualClock implements Clock {
  #startWallMs: number;
  #monotonicMs = 0;
  #wake: Timer | undefined;
  #timers: Timer[] = [];

  constructor(startWallMs = 1_800_000_000_000) {
    this.#startWallMs = startWallMs;
  }

  now(): Now {
    return { monotonicMs: this.#monotonicMs, wallMs: this.#startWallMs + this.#monotonicMs };
  }

  /** The wall clock is set; monotonic time goes on. */
  setWall(byMs: number): void {
    this.#startWallMs += byMs;
  }

  wakeAt(atMs: number, run: () => void): void {
    this.#wake = atMs === Number.POSITIVE_INFINITY ? undefined : { atMs, run };
  }

  soon(pass: () => void): void {
    setImmediate(pass);
  }

  stayAwake(): void {}

  later(ms: number, run: () => void): void {
    this.#timers.push({ atMs: this.#monotonicMs + ms, run });
  }

  /** Everything that is due meanwhile happens at its time, with all that follows from it. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    for (;;) {
      await settle();
      const next = this.#next();
      if (next === undefined || next.atMs > untilMs) break;
      this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs);
      if (next === this.#wake) this.#wake = undefined;
      else this.#timers = this.#timers.filter((timer) => timer !== next);
      next.run();
    }
    this.#monotonicMs = untilMs;
    await settle();
  }

  #next(): Timer | undefined {
    const timers = this.#wake === undefined ? this.#timers : [...this.#timers, this.#wake];
    return timers.length === 0 ? undefined : timers.reduce((first, other) => (other.atMs < first.atMs ? other : first));
  }
}

/** Lets everything happen that needs no time to pass. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < turnsToSettle; turn++) await new Promise((resolve) => setImmediate(resolve));
}
