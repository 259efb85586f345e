/** When what has ended is purged, and up to which instant. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { Retention } from '../../src/broker/retention.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import type { PurgeOptions } from '../../src/store/port.ts';
import { submitted } from '../conformance/records.ts';
import { harness } from './harness.ts';
import { VirtualClock } from './virtual-clock.ts';

const wallMs = 1_800_000_000_000;

/** The purges of a store that deletes `counts` rows in turn, and how long each was waited for. */
async function purges(counts: readonly number[]) {
  const purged: PurgeOptions[] = [];
  const waits: number[] = [];
  const errors: Error[] = [];
  const next: (() => void)[] = [];
  new Retention({
    store: {
      purge: (options) => {
        purged.push(options);
        const count = counts[purged.length - 1];
        return count === undefined ? Promise.reject(new Error('no more')) : Promise.resolve(count);
      },
    },
    limits: { ...defaultLimits, retentionMs: 1000, deadLetterRetentionMs: 5000 },
    log: pino({ level: 'silent' }),
    newestAtMs: undefined,
    now: () => ({ wallMs: wallMs + purged.length, monotonicMs: 0 }),
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

const hour = 3_600_000;
const day = 24 * hour;

/** A broker over a store whose newest change is `ageMs` old; when it purges, and what it logs. */
async function broker(ageMs: number | undefined) {
  const clock = new SetClock(wallMs);
  const store = new MemoryStore();
  if (ageMs !== undefined) await store.commit([{ ...submitted(1, 'a'), submittedAtMs: wallMs - ageMs } as StoreRecord]);
  const purgedAtMs: number[] = [];
  store.purge = async () => {
    purgedAtMs.push(clock.now().monotonicMs);
    return 0;
  };
  const warnings: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void warnings.push(...warningOf(line)) });
  const running = await harness({}, { store, clock, log });
  return { clock, purgedAtMs, warnings, running, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

const warningOf = (line: string): string[] => {
  const { component, msg } = JSON.parse(line) as { component: string; msg: string };
  return component === 'retention' ? [msg] : [];
};

/** Its wall time can be set. */
class SetClock extends VirtualClock {
  aheadMs = 0;

  override now() {
    const { monotonicMs, wallMs: at } = super.now();
    return { monotonicMs, wallMs: at + this.aheadMs };
  }
}

describe('a clock that is far ahead', () => {
  test('at the start: nothing is purged for an hour, and a warning says so', async () => {
    await using at = await broker(day + hour);
    await at.clock.advance(hour - 1);
    expect(at.purgedAtMs).toEqual([]);
    expect(at.warnings).toEqual([
      expect.stringMatching(/nothing was stored for 25 h\. .*in 60 min; if the clock is wrong/),
    ]);
    expect(at.running.running.broker.retention.warning).toBe(at.warnings[0]);
    await at.clock.advance(2 * hour);
    expect(at.purgedAtMs).toEqual([hour, 2 * hour]);
  });

  test.each([
    ['a store that was changed within a day', day],
    ['an empty store', undefined],
    ['a newer store', -day],
  ])('%s is purged at once, without a word', async (_, ageMs) => {
    await using at = await broker(ageMs);
    await at.clock.advance(0);
    expect([at.purgedAtMs, at.warnings]).toEqual([[0], []]);
    expect(at.running.running.broker.retention.warning).toBeUndefined();
  });

  test('while the broker runs: the next purge is an hour after the jump at the earliest', async () => {
    await using at = await broker(undefined);
    await at.clock.advance(hour - 10_000);
    at.clock.aheadMs = day + hour;
    await at.clock.advance(1000);
    expect(at.warnings).toEqual([expect.stringMatching(/^The clock went ahead by 25 h\./)]);
    await at.clock.advance(hour - 2000);
    expect(at.purgedAtMs).toEqual([0]);
    await at.clock.advance(10_000);
    expect(at.purgedAtMs).toHaveLength(2);
    expect(at.purgedAtMs[1]).toBeGreaterThanOrEqual(2 * hour - 10_000);
  });

  test('a jump just before a purge is seen by the purge', async () => {
    await using at = await broker(undefined);
    await at.clock.advance(hour - 1);
    at.clock.aheadMs = 365 * day;
    await at.clock.advance(hour);
    expect([at.purgedAtMs, at.warnings.length]).toEqual([[0], 1]);
  });

  test('a jump of a day, or back, holds nothing up', async () => {
    await using at = await broker(undefined);
    for (const aheadMs of [day, -5 * day]) {
      at.clock.aheadMs = aheadMs;
      await at.clock.advance(hour);
    }
    expect([at.purgedAtMs, at.warnings]).toEqual([[0, hour, 2 * hour], []]);
  });
});
