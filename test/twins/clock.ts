/** The twin of the clock: virtual monotonic time, and a wall clock that can be set. */
import type { Clock } from '../../src/time/clock.ts';
import type { Now } from '../../src/time/now.ts';
import type { Timeline } from './timeline.ts';

/** The wall clock of the machine, which outlives its processes. */
export class WallTwin {
  readonly #timeline: Timeline;
  #offsetMs: number;

  constructor(timeline: Timeline, startMs: number) {
    this.#timeline = timeline;
    this.#offsetMs = startMs - timeline.nowMs;
  }

  get nowMs(): number {
    return Math.floor(this.#timeline.nowMs + this.#offsetMs);
  }

  jump(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

export class ClockTwin implements Clock {
  readonly #timeline: Timeline;
  readonly #wall: WallTwin;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #setting = 0;
  #dead = false;

  constructor(timeline: Timeline, wall: WallTwin) {
    this.#timeline = timeline;
    this.#wall = wall;
  }

  now(): Now {
    return { monotonicMs: this.#timeline.nowMs, wallMs: this.#wall.nowMs };
  }

  wakeAt(monotonicMs: number, wake: () => void): void {
    if (monotonicMs === this.#wakeAtMs) return;
    this.#wakeAtMs = monotonicMs;
    const setting = ++this.#setting;
    if (monotonicMs === Number.POSITIVE_INFINITY) return;
    this.#timeline.at(monotonicMs, () => {
      if (this.#dead || setting !== this.#setting) return;
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      wake();
    });
  }

  soon(pass: () => void): void {
    this.later(0, pass);
  }

  stayAwake(): void {}

  later(ms: number, run: () => void): void {
    this.#timeline.after(ms, () => {
      if (!this.#dead) run();
    });
  }

  /** The process is gone: nothing that it asked for happens any more. */
  kill(): void {
    this.#dead = true;
  }
}
