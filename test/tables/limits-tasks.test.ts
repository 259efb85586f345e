/** Limits of waiting tasks, of waits, and of what is remembered of both. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { uuidTimeMs } from '../../src/protocol/uuid-time.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import type { Raw } from '../broker/harness.ts';
import { harness } from '../broker/harness.ts';
import { VirtualClock } from '../broker/virtual-clock.ts';
import { speak } from './spoken.ts';

const socket = { socket: true };
const submit = async (raw: Raw, operation: string, more: object = {}): Promise<string> =>
  (await raw.request('task.submit', { operation, ...more })).id;
const over = (raw: Raw, operation: string, more: object = {}) => raw.refused('task.submit', { operation, ...more });

test('pendingMax', async () => {
  await using broker = await harness({ pendingMax: 2 }, socket);
  const raw = await broker.session();
  const id = await submit(raw, 'a');
  await submit(raw, 'b');
  expect(await over(raw, 'a')).toMatchObject({ code: 'queue_full', context: { limit: 2, retry_after_ms: 1000 } });
  expect((await raw.request('broker.health', {})).status).toBe('degraded');
  await raw.request('task.cancel', { id });
  await submit(raw, 'a');
  speak('pendingMax');
});

test('pendingBytesMax', async () => {
  await using broker = await harness({ pendingBytesMax: 1000 }, socket);
  const raw = await broker.session();
  const body = (bytes: number) => ({ payload: Buffer.alloc(bytes - 3) }); // and three bytes of header
  const id = await submit(raw, 'a', body(600));
  expect(await over(raw, 'a', body(401))).toMatchObject({ code: 'queue_full', context: { limit_bytes: 1000 } });
  await submit(raw, 'a', body(400));
  await raw.request('task.cancel', { id });
  await submit(raw, 'a', body(600));
  expect((await raw.request('broker.health', {})).metrics.waiting_bytes).toBe(1000);
  speak('pendingBytesMax');
});

test('operationsMax: with tasks or settings; idle ones are dropped for others', async () => {
  await using broker = await harness({ operationsMax: 3 }, socket);
  const raw = await broker.session();
  await raw.request('routing.set', { strategy: 'random', operation: 'chosen' });
  const ids = [await submit(raw, 'a'), await submit(raw, 'b')];
  await submit(raw, 'a');
  expect((await over(raw, 'c')).code).toBe('too_many_operations');
  expect((await raw.refused('routing.set', { strategy: 'random', operation: 'c' })).code).toBe('too_many_operations');
  await raw.request('task.cancel', { id: ids[1]! });
  for (const name of ['c', 'd', 'e']) await raw.request('task.cancel', { id: await submit(raw, name) });
  const { operation_count: operations, routing } = await raw.request('broker.snapshot', {});
  expect([operations, routing.per_operation]).toEqual([3, { chosen: 'random' }]);
  expect(broker.state.operations.byName.size).toBe(3);
  speak('operationsMax');
});

test('classesMax: empty classes beyond it are dropped, those with tasks never', async () => {
  await using broker = await harness({ classesMax: 2 }, socket);
  const raw = await broker.session();
  for (let at = 0; at < 10; at++) {
    await submit(raw, 'kept', { labels: { at: String(at) } });
    await raw.request('task.cancel', { id: await submit(raw, 'a', { labels: { at: String(at) } }) });
    const { byKey, empty } = broker.state.classes;
    expect([byKey.size, empty.size]).toEqual([at + 1 + Math.min(at + 1, 2), Math.min(at + 1, 2)]);
  }
  speak('classesMax');
});

test('batchMax', async () => {
  await using broker = await harness({}, socket);
  const raw = await broker.session();
  const tasks = (count: number) => Array.from({ length: count }, () => ({ operation: 'a' }));
  expect((await raw.request('task.submit_batch', { tasks: tasks(1000) })).outcomes).toHaveLength(1000);
  expect(await raw.refused('task.submit_batch', { tasks: tasks(1001) })).toMatchObject({ code: 'invalid_params' });
  expect((await raw.request('broker.snapshot', {})).waiting).toBe(1000);
  speak('batchMax');
});

test('waitsMax and waitsTotalMax', async () => {
  await using broker = await harness({ waitsMax: 2, waitsTotalMax: 3 }, socket);
  const [one, two] = [await broker.session(), await broker.session()];
  const id = await submit(one, 'a');
  const wait = (raw: Raw) => raw.ask('task.wait', { id }, 'broker', 60_000);
  const waits = [wait(one), wait(one)];
  expect((await one.refused('task.wait', { id })).context).toMatchObject({ limit: 2 });
  wait(two);
  expect((await two.refused('task.wait', { id })).context).toMatchObject({ limit: 3 });
  one.send(8, waits[0]);
  expect((await one.refusal(waits[0]!)).code).toBe('cancelled');
  wait(two);
  await two.pong();
  expect([two.frames, broker.state.waits.count]).toEqual([[], 3]);
  await one.request('task.cancel', { id });
  expect(await one.reply(waits[1]!)).toMatchObject({ state: 'cancelled' });
  expect(broker.state.waits).toMatchObject({ count: 0, byTask: new Map(), bySession: new Map() });
  speak('waitsMax');
  speak('waitsTotalMax');
});

test('waitMsMax', async () => {
  const clock = new VirtualClock();
  await using broker = await harness({ waitMsMax: 60_000 }, { clock });
  const raw = await broker.session();
  const wait = raw.ask('task.wait', { id: await submit(raw, 'a') }, 'broker', 10 * 3_600_000);
  for (let second = 0; second < 59; second++) {
    await clock.advance(1000);
    await raw.pong();
  }
  await clock.advance(999);
  expect(raw.frames.filter(([kind]) => kind === 6)).toEqual([]);
  await clock.advance(1);
  expect((await raw.refusal(wait)).code).toBe('deadline_exceeded');
  speak('waitMsMax');
});

test('endedIdsMax: older ids are looked up, and are still known', async () => {
  await using broker = await harness({ endedIdsMax: 2 }, socket);
  const raw = await broker.session();
  const ids: string[] = [];
  for (let at = 0; at < 5; at++) {
    ids.push(await submit(raw, 'a'));
    await raw.request('task.cancel', { id: ids[at]! });
    expect(broker.state.ended.states.size).toBe(Math.min(at + 1, 2));
  }
  for (const id of ids)
    expect(await raw.request('task.submit', { operation: 'a', id })).toEqual({
      id,
      state: 'cancelled',
      duplicate: true,
      sync: 'none',
    });
  speak('endedIdsMax');
});

test('idsAheadMax: beyond it every id up to the greatest is looked up, and all are still known, also after a start', async () => {
  const store = new MemoryStore();
  const limits = { endedIdsMax: 0, idsAheadMax: 2 };
  const ids = [3, 9, 6].map((hours) => uuidv7(Date.now() + hours * 3_600_000));
  {
    await using broker = await harness(limits, { ...socket, store });
    const raw = await broker.session();
    for (const [at, id] of ids.entries()) {
      await submit(raw, 'a', { id });
      await raw.request('task.cancel', { id });
      const { ahead, horizonMs } = broker.state.ended;
      expect([ahead.size, horizonMs]).toEqual(at < 2 ? [at + 1, 0] : [0, uuidTimeMs(ids[1]!)]);
    }
    for (const id of ids) expect((await raw.request('task.submit', { operation: 'a', id })).duplicate).toBe(true);
  }
  await using broker = await harness(limits, { ...socket, store });
  const raw = await broker.session();
  for (const id of ids) expect((await raw.request('task.submit', { operation: 'a', id })).duplicate).toBe(true);
  expect(broker.state.ended).toMatchObject({ ahead: new Set(), horizonMs: uuidTimeMs(ids[1]!) });
  speak('idsAheadMax');
});

test('snapshotRowsMax: the busiest operations', async () => {
  await using broker = await harness({ snapshotRowsMax: 2 }, socket);
  const raw = await broker.session();
  for (const name of ['quiet', 'busy', 'busier', 'busy', 'busier', 'busier']) await submit(raw, name);
  const { queues, operation_count: operations } = await raw.request('broker.snapshot', {});
  expect([queues.map(({ operation }) => operation), operations]).toEqual([['busier', 'busy'], 3]);
  speak('snapshotRowsMax');
});

test('memoryPayloadBytesMax: what is over it is read back before it is handed out', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'deye-payloads-'));
  const store = journalStoreIn(directory);
  {
    await using broker = await harness({ memoryPayloadBytesMax: 1000 }, { ...socket, store });
    const raw = await broker.session();
    const read = vi.spyOn(store, 'payload');
    const ids = [];
    for (const byte of [1, 2, 3]) ids.push(await submit(raw, 'work', { payload: Buffer.alloc(600, byte) }));
    const collector = await broker.session('collector');
    await collector.register('w', { max_concurrent_tasks: 9 });
    const assigned = [await collector.message(), await collector.message(), await collector.message()];
    expect(assigned).toMatchObject([1, 2, 3].map((byte) => ({ kind: 'assign', payload: Buffer.alloc(600, byte) })));
    expect(read.mock.calls.map(([id]) => id)).toEqual(ids.slice(1));
  }
  rmSync(directory, { recursive: true });
  speak('memoryPayloadBytesMax');
});
