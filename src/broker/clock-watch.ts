/**
 * Notices that wall time went another way than monotonic time: the clock was set, or the machine was suspended. Spans
 * are not affected; code that shows or compares instants may be.
 */
import type { Now } from '../time/now.ts';

/** A difference of less than this is drift, not a jump. */
const jumpMs = 1000;

interface ClockJump {
  /** How far the wall clock went ahead of (or fell behind) monotonic time. */
  readonly byMs: number;
  readonly wallMs: number;
}

export class ClockWatch {
  readonly #jumped: (jump: ClockJump) => void;
  #offsetMs: number;

  constructor(start: Now, jumped: (jump: ClockJump) => void) {
    this.#offsetMs = start.wallMs - start.monotonicMs;
    this.#jumped = jumped;
  }

  look({ monotonicMs, wallMs }: Now): void {
    const offsetMs = wallMs - monotonicMs;
    const byMs = Math.round(offsetMs - this.#offsetMs);
    this.#offsetMs = offsetMs;
    if (Math.abs(byMs) >= jumpMs) this.#jumped({ byMs, wallMs });
  }
}
