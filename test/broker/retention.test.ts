/** When what has ended is purged, and up to which instant. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Expiry } from '../../src/book/port.ts';
import { Retention } from '../../src/broker/retention.ts';
import type { Input } from '../../src/core/input.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { submitted } from '../conformance/records.ts';
import { harness } from './harness.ts';
import { VirtualClock } from './virtual-clock.ts';

const wallMs = 1_800_000_000_000;

type Found = readonly [tasks: number, bodies: number];

/** What retention looks for and does over a store that has this to delete in turn, and how long it waits each time. */
async function rounds(found: readonly Found[], shrinks: readonly boolean[] = [], hasRoom = true) {
  const looks: Expiry[] = [];
  const inputs: Input[] = [];
  const waits: number[] = [];
  const errors: Error[] = [];
  const next: (() => void)[] = [];
  let shrunk = 0;
  new Retention({
    store: {
      expired: async (expiry) => {
        looks.push(expiry);
        const slice = found[looks.length - 1];
        if (slice === undefined) throw new Error('no more');
        const [tasks, bodies] = slice.map((length) => Array.from({ length }, (_, at) => at + 1));
        return { tasks: tasks!, bodies: bodies!, beforeMs: tasks!.length };
      },
      shrink: async () => shrinks[shrunk++] ?? false,
    },
    enqueue: (input) => {
      inputs.push(input);
      if (input.kind === 'expire') next.push(hasRoom ? input.run : input.skipped);
    },
    limits: { ...defaultLimits, retentionMs: 1000, deadLetterRetentionMs: 5000, endedTasksMax: 7, bookBytesMax: 9 },
    log: pino({ level: 'silent' }),
    newestAtMs: undefined,
    now: () => ({ wallMs: wallMs + looks.length, monotonicMs: 0 }),
    after: (ms, run) => {
      waits.push(ms);
      next.push(run);
    },
    failed: (error) => errors.push(error),
  });
  const atStart = looks.length;
  while (errors.length === 0) {
    await null;
    next.shift()?.();
  }
  return { atStart, looks, inputs, waits, shrunk };
}

test('at the start, not a minute later: all that is kept no longer, and what is too much', async () => {
  const { atStart, looks } = await rounds([[0, 0]]);
  expect(atStart).toBe(1);
  const [limit, tasksMax, bytesMax] = [10_000, 7, 9];
  expect(looks).toEqual(
    [wallMs, wallMs + 1].map((now) => ({
      ...{ beforeMs: now - 1000, deadLettersBeforeMs: now - 5000, wallMs: now },
      ...{ limit, tasksMax, bytesMax },
    })),
  );
});

test('what is found is a step of the core, and the next look comes soon after that is durable', async () => {
  const { waits, inputs, shrunk } = await rounds([
    [3, 0],
    [0, 2],
    [0, 0],
  ]);
  expect(inputs).toMatchObject([
    { kind: 'expire', expired: { tasks: [1, 2, 3], bodies: [], beforeMs: 3 } },
    { kind: 'expire', expired: { tasks: [], bodies: [1, 2], beforeMs: 0 } },
  ]);
  expect(waits).toEqual([10, 10, 1000]);
  expect(shrunk).toBe(1);
});

test('where there was something it looks soon again, and less often where there is nothing', async () => {
  const nothing: readonly Found[] = Array.from({ length: 9 }, () => [0, 0]);
  const { waits } = await rounds([[0, 0], [3, 0], ...nothing, [3, 0], [0, 0]]);
  expect(waits).toEqual([
    ...[60_000, 10],
    ...[1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000],
    ...[10, 1000],
  ]);
});

test('what the disk has no room for is looked for again a minute later', async () => {
  const { waits, inputs } = await rounds([[3, 0]], [], false);
  expect([waits, inputs.length]).toEqual([[60_000], 1]);
});

test('what was freed is given back in slices, too', async () => {
  const nothing: Found = [0, 0];
  const { waits, inputs } = await rounds([nothing, nothing, nothing, nothing], [true, true, false, false]);
  expect([waits, inputs]).toEqual([[10, 10, 1000, 2000], []]);
});

const hour = 3_600_000;
const minute = 60_000;
const day = 24 * hour;

/** A broker over a store whose newest change is `ageMs` old; when it purges, and what it logs. */
async function broker(ageMs: number | undefined) {
  const clock = new SetClock(wallMs);
  const store = new MemoryStore();
  if (ageMs !== undefined) await store.commit([{ ...submitted(1, 'a'), submittedAtMs: wallMs - ageMs } as StoreRecord]);
  const purgedAtMs: number[] = [];
  store.expired = async () => {
    purgedAtMs.push(clock.now().monotonicMs);
    return { tasks: [], bodies: [], beforeMs: 0 };
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
    expect([at.purgedAtMs[0], at.purgedAtMs[1]]).toEqual([hour, hour + minute]);
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
    await at.clock.advance(minute - 10_000);
    at.clock.aheadMs = day + hour;
    await at.clock.advance(1000);
    expect(at.warnings).toEqual([expect.stringMatching(/^The clock went ahead by 25 h\./)]);
    await at.clock.advance(hour - 2000);
    expect(at.purgedAtMs).toEqual([0]);
    await at.clock.advance(10_000);
    expect(at.purgedAtMs).toHaveLength(2);
    expect(at.purgedAtMs[1]).toBeGreaterThanOrEqual(hour + minute - 10_000);
  });

  test('a jump just before a purge is seen by the purge', async () => {
    await using at = await broker(undefined);
    await at.clock.advance(minute - 1);
    at.clock.aheadMs = 365 * day;
    await at.clock.advance(hour);
    expect([at.purgedAtMs, at.warnings.length]).toEqual([[0], 1]);
  });

  test('a jump of a day, or back, holds nothing up', async () => {
    await using at = await broker(undefined);
    for (const aheadMs of [day, -5 * day]) {
      at.clock.aheadMs = aheadMs;
      await at.clock.advance(minute);
    }
    expect([at.purgedAtMs, at.warnings]).toEqual([[0, minute, 2 * minute], []]);
  });
});
