/** Deleting what ended long ago: at the start and once an hour, in slices, so that commits in between do not wait. */
import type { Limits } from '../protocol/limits.ts';
import type { Store } from '../store/port.ts';

const everyMs = 3_600_000;
const sliceRows = 1000;
const pauseMs = 50;

interface RetentionOptions {
  readonly store: Pick<Store, 'purge'>;
  readonly limits: Limits;
  readonly wallMs: () => number;
  readonly after: (ms: number, run: () => void) => void;
  readonly failed: (error: Error) => void;
}

export function startRetention(options: RetentionOptions): void {
  const { store, limits, wallMs, after, failed } = options;
  const purge = (): void => {
    const nowMs = wallMs();
    store
      .purge({
        beforeMs: nowMs - limits.retentionMs,
        deadLettersBeforeMs: nowMs - limits.deadLetterRetentionMs,
        limit: sliceRows,
      })
      .then((count) => after(count < sliceRows ? everyMs : pauseMs, purge), failed);
  };
  purge();
}
