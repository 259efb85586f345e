/** The largest step fits a batch of the journal, with all that gathers before it and all that is written again beside it. */
import { expect, test } from 'vitest';
import { Turn } from '../../src/broker/turn.ts';
import type { Input } from '../../src/core/input.ts';
import { newState } from '../../src/core/state.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { moved, specOf } from '../conformance/records.ts';
import { dice } from '../journal/history.ts';
import { turn as loopTurn, storeOn } from '../store/twin-store.ts';
import { BookTwin } from '../twins/book.ts';
import { DiskTwin } from '../twins/disk.ts';

const mebibyte = 1024 * 1024;
/** As large as a task's metadata may be. */
const largeMap = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`k${at}`, 'x'.repeat(1024)]));
const idOf = (at: number): string => `01a31800-0000-7000-8000-${String(at).padStart(12, '0')}`;

test('a batch of a full frame behind as much as may gather, while the journal is written again', {
  timeout: 60_000,
}, async () => {
  const { store, journal } = storeOn(new DiskTwin(), new BookTwin(), {
    ...{ segmentBytes: 64 * mebibyte, sizes: { idleBytes: 0 }, chance: dice(1), tick: () => {} },
    ...{ book: {}, later: () => {}, cut: () => {} },
  });
  await store.load({ wallMs: 2_000_000_000_000, idsAheadMax: 100 });
  const appended: { readonly bytes: number; readonly records: number }[] = [];
  const append = journal().append.bind(journal());
  journal().append = (parts, records, sequence) => {
    appended.push({ bytes: parts.reduce((sum, { length }) => sum + length, 0), records });
    return append(parts, records, sequence);
  };
  let failed: Error | undefined;
  let turning = false;
  const turn: Turn = new Turn({
    core: { state: newState() },
    store,
    now: () => ({ monotonicMs: 0, wallMs: 1_800_000_000_000 }),
    wake: () => {
      turning = true;
    },
    deliver: () => {},
    failed: (error) => {
      failed = error;
    },
  });
  let tasks = 0;
  const submitOf = (count: number, bytes: number, metadata: Readonly<Record<string, string>> = {}): Input => ({
    kind: 'submit',
    to: { session: 1, id: 1 },
    specs: Array.from({ length: count }, () =>
      specOf(idOf(++tasks), { payload: new Uint8Array(bytes).fill(1), metadata }),
    ),
    batch: count > 1,
  });
  const settle = async (): Promise<void> => {
    for (let idle = 0; idle < 20 && failed === undefined; idle++) {
      if (turning) idle = 0;
      turning = false;
      turn.run();
      await loopTurn();
    }
    if (failed !== undefined) throw failed;
  };
  const { frameBytesMax, batchMax } = defaultLimits;
  const largest = (): Input => submitOf(batchMax, Math.floor(frameBytesMax / batchMax));
  for (let at = 0; at < 80; at++) turn.enqueue(submitOf(1, mebibyte));
  await settle();
  // What lives is little now, and the journal is large: every commit writes some of it again.
  await store.commit(Array.from({ length: 76 }, (_, at) => moved(at + 5, 'cancelled')));
  appended.length = 0;
  for (const input of [submitOf(1, 3 * mebibyte), submitOf(1, 3 * mebibyte), submitOf(1, mebibyte), largest()])
    turn.enqueue(input);
  await settle();
  expect([...(await store.states([idOf(1), idOf(tasks)])).values()]).toEqual(['pending', 'pending']);
  const most = appended.reduce((one, other) => (other.bytes > one.bytes ? other : one));
  expect(most.bytes).toBeGreaterThan(frameBytesMax);
  expect(most.bytes).toBeLessThanOrEqual(journal().bodyBytesMax);
  expect(most.records).toBeGreaterThan(batchMax + 3);

  const before = tasks;
  for (const input of [submitOf(1, 3 * mebibyte), submitOf(170, 0, largeMap), submitOf(2, 0)]) turn.enqueue(input);
  await settle();
  const all = Array.from({ length: tasks - before }, (_, at) => idOf(before + 1 + at));
  expect([...(await store.states(all)).keys()]).toEqual(all);
});
