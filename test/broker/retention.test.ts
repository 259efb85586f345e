/** When what has ended is purged, and up to which instant. */
import { expect, test } from 'vitest';
import { startRetention } from '../../src/broker/retention.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { PurgeOptions } from '../../src/store/port.ts';

const wallMs = 1_800_000_000_000;

/** The purges of a store that deletes `counts` rows in turn, and how long each was waited for. */
async function purges(counts: readonly number[]) {
  const purged: PurgeOptions[] = [];
  const waits: number[] = [];
  const errors: Error[] = [];
  const next: (() => void)[] = [];
  startRetention({
    store: {
      purge: (options) => {
        purged.push(options);
        const count = counts[purged.length - 1];
        return count === undefined ? Promise.reject(new Error('no more')) : Promise.resolve(count);
      },
    },
    limits: { ...defaultLimits, retentionMs: 1000, deadLetterRetentionMs: 5000 },
    wallMs: () => wallMs + purged.length,
    after: (ms, run) => {
      waits.push(ms);
      next.push(run);
    },
    failed: (error) => errors.push(error),
  });
  const atStart = purged.length;
  while (errors.length === 0) {
    await null;
    next.shift()?.();
  }
  return { atStart, purged, waits };
}

test('at the start, not an hour later: tasks older than their retention, dead letters than theirs', async () => {
  const { atStart, purged } = await purges([0]);
  expect(atStart).toBe(1);
  expect(purged[0]).toMatchObject({ beforeMs: wallMs - 1000, deadLettersBeforeMs: wallMs - 5000 });
  expect(purged[1]).toMatchObject({ beforeMs: wallMs + 1 - 1000, deadLettersBeforeMs: wallMs + 1 - 5000 });
});

test('a full slice is followed by the next one soon, the last one by an hour', async () => {
  const [slice = 0] = (await purges([])).purged.map(({ limit }) => limit);
  const { waits } = await purges([slice, slice, slice - 1, 0]);
  expect(waits).toEqual([50, 50, 3_600_000, 3_600_000]);
});
