/**
 * The clock port: milliseconds since the epoch that only ever grow. The real one reads the wall clock once, when it
 * is made, and counts monotonic time from there, so leases and timeouts do not notice the wall clock being changed.
 */
export interface Clock {
  nowMs(): number;
  /** Calls `wake` once at `atMs` or soon after; a later call replaces the earlier one. `Infinity` means never. */
  wakeAt(atMs: number, wake: () => void): void;
}

const timerMsMax = 2 ** 31 - 1;

export function realClock(): Clock & Disposable {
  const anchorMs = Date.now() - performance.now();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;
  const nowMs = () => anchorMs + performance.now();
  return {
    nowMs,
    wakeAt(atMs, wake) {
      if (atMs === timerAtMs) return;
      clearTimeout(timer);
      timerAtMs = atMs;
      timer = undefined;
      if (atMs === Number.POSITIVE_INFINITY) return;
      timer = setTimeout(
        () => {
          timerAtMs = Number.POSITIVE_INFINITY;
          wake();
        },
        Math.min(Math.max(0, Math.ceil(atMs - nowMs())), timerMsMax),
      );
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
