/**
 * The clock's port. The real one keeps monotonic and wall time apart: leases, timeouts and backoffs do not notice the
 * wall clock being changed, and ids and records follow it. The simulator has the twin.
 */
import { BusyPoll } from './busy-poll.ts';
import type { Now } from './now.ts';

export interface Clock {
  now(): Now;
  /** Calls `wake` once at `monotonicMs` or soon after; a later call replaces the earlier one. `Infinity` means never. */
  wakeAt(monotonicMs: number, wake: () => void): void;
  /** Runs `pass` at the end of this turn of the event loop, after every readable stream has been read. */
  soon(pass: () => void): void;
  /** An answer is expected soon: the loop may poll for a moment instead of sleeping. */
  stayAwake(): void;
  /** Runs `run` once after `ms`; does not keep the process alive. */
  later(ms: number, run: () => void): void;
}

const timerMsMax = 2 ** 31 - 1;

export function realClock(): Clock & Disposable {
  const busyPoll = new BusyPoll();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;
  return {
    now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
    soon: (pass) => void setImmediate(pass),
    stayAwake: () => busyPoll.expect(),
    later: (ms, run) => void setTimeout(run, ms).unref(),
    wakeAt(monotonicMs, wake) {
      if (monotonicMs === timerAtMs) return;
      clearTimeout(timer);
      timerAtMs = monotonicMs;
      timer = undefined;
      if (monotonicMs === Number.POSITIVE_INFINITY) return;
      timer = setTimeout(
        () => {
          timerAtMs = Number.POSITIVE_INFINITY;
          wake();
        },
        Math.min(Math.max(0, Math.ceil(monotonicMs - performance.now())), timerMsMax),
      );
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
