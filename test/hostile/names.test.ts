/**
 * Names by the hundred thousand, for everything that takes a name: what is kept is bounded, and each costs the core as
 * much as those before it, counted in calls of its functions.
 */
import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { limitTable } from '../../src/protocol/limits.ts';
import { type Harness, harness, type Raw } from '../broker/harness.ts';
import { workDuring } from '../core/work.ts';
import { countIterations } from './iterations.ts';

const names = Number(process.env.DEYE_NAMES ?? 100_000);
const perBatch = 500;

/** Submits so many tasks, each made by its number, and gives their ids. */
async function submit(raw: Raw, count: number, make: (at: number) => object, from = 0): Promise<string[]> {
  const ids: string[] = [];
  for (let at = from; at < from + count; at += perBatch) {
    const tasks = Array.from({ length: Math.min(perBatch, from + count - at) }, (_, more) => make(at + more));
    const { outcomes } = await raw.request('task.submit_batch', { tasks });
    ids.push(...outcomes.flatMap((one) => ('id' in one ? [one.id] : [])));
  }
  return ids;
}

async function cancel(raw: Raw, ids: readonly string[]): Promise<void> {
  const asked = ids.map((id) => raw.ask('task.cancel', { id }));
  for (const one of asked) await raw.reply(one);
}

/** Every name comes and goes. Of two tenths, both after the limits are reached, the later costs no more. */
async function come(raw: Raw, make: (at: number) => object): Promise<void> {
  const comeAndGo = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += perBatch)
      await cancel(raw, await submit(raw, Math.min(perBatch, to - at), make, at));
  };
  const [early, late] = [0.3, 0.9].map((share) => Math.floor(names * share)) as [number, number];
  const tenth = Math.floor(names / 10);
  await comeAndGo(0, early);
  const before = await workDuring(() => comeAndGo(early, early + tenth));
  await comeAndGo(early + tenth, late);
  const after = await workDuring(() => comeAndGo(late, late + tenth));
  await comeAndGo(late + tenth, names);
  expect(after).toBeLessThan(before * 1.1);
}

/** A snapshot fits a frame many times over, and is served. */
async function snapshotIsSmall(broker: Harness): Promise<void> {
  const raw = await broker.session('observer');
  const snapshot = await raw.request('broker.snapshot', {});
  expect(snapshot.queues.length).toBeLessThanOrEqual(limitTable.snapshotRowsMax.value);
  expect(encodeFrame([snapshot]).length).toBeLessThan(200_000);
}

test(`${names} operations, each of a task that is cancelled at once`, async () => {
  await using broker = await harness({ operationsMax: 2000 });
  const raw = await broker.session();
  await come(raw, (at) => ({ operation: `op-${at}` }));
  const { operations, classes, tasks, ended } = broker.state;
  expect([operations.byName.size, operations.idle.size, tasks.size]).toEqual([2000, 2000, 0]);
  expect(classes.byKey.size).toBeLessThanOrEqual(limitTable.classesMax.value);
  expect(ended.states.size).toBeLessThanOrEqual(limitTable.endedIdsMax.value);
  await snapshotIsSmall(broker);
});

test('operations that wait: up to operationsMax, and a snapshot is still small', async () => {
  await using broker = await harness();
  const raw = await broker.session();
  const ids = await submit(raw, 12_000, (at) => ({ operation: `op-${at}` }));
  expect([ids.length, broker.state.operations.byName.size]).toEqual([10_000, 10_000]);
  await snapshotIsSmall(broker);
});

test(`${names} labels, each of a task that is cancelled at once`, async () => {
  await using broker = await harness();
  const raw = await broker.session();
  await come(raw, (at) => ({ operation: 'a', labels: { [`name-${at}`]: 'x', at: `${at}` } }));
  const { classes, operations } = broker.state;
  expect([classes.byKey.size, operations.byName.size]).toEqual([limitTable.classesMax.value, 1]);
  expect(operations.byName.get('a')!.classes.size).toBe(limitTable.classesMax.value);
  await snapshotIsSmall(broker);
});

test(`${names} ids from ahead of the clock and from long ago`, async () => {
  await using broker = await harness({ endedIdsMax: 1000 });
  const raw = await broker.session();
  const id = (at: number, time: string) => `${time}-7000-8000-${at.toString(16).padStart(12, '0')}`;
  await come(raw, (at) => ({ operation: 'a', id: id(at, at % 2 === 0 ? 'ffffffff-ffff' : '00000000-0000') }));
  const { ended } = broker.state;
  expect(ended.states.size).toBeLessThanOrEqual(1000 + perBatch);
  expect(ended.ahead.size).toBeLessThanOrEqual(10_000);
  expect(ended.lookUps.size).toBe(0);
  // None is forgotten for all that.
  for (const at of [0, 1, names - 2, names - 1])
    expect(
      await raw.request('task.submit', {
        operation: 'a',
        id: id(at, at % 2 === 0 ? 'ffffffff-ffff' : '00000000-0000'),
      }),
    ).toMatchObject({ duplicate: true, state: 'cancelled' });
});

test(`${names} topics, patterns, and ids of replies that nobody waits for`, async () => {
  await using broker = await harness();
  const raw = await broker.session();
  const { relay, calls } = broker.running.broker;
  for (let at = 0; at < names; at++) {
    raw.send(Kind.publish, `t.${at}`, at);
    raw
      .send(Kind.reply, 65_536 + at, 0, at)
      .send(Kind.chunk, 65_536 + at, at)
      .send(Kind.cancel, 65_536 + at);
    const pattern = { patterns: [`p.${at}.*`] };
    if (at % 10 === 0) raw.ask('topic.subscribe', pattern);
    if (at % 20 === 0) raw.ask('topic.unsubscribe', pattern);
  }
  await raw.pong();
  expect(relay.routes.size).toBeLessThanOrEqual(limitTable.routesMax.value);
  expect(relay.subscriptions).toBeLessThanOrEqual(limitTable.subscriptionsMax.value);
  expect([calls.inFlight, broker.state.waits.count]).toEqual([0, 0]);
  raw.stream.destroy();
  await raw.ended();
  await snapshotIsSmall(broker);
  expect(relay.subscriptions).toBe(0);
});

test('work grows with the number of operations, not with its square', async () => {
  const walked = async (count: number): Promise<number> => {
    await using broker = await harness({ operationsMax: 100_000 });
    const [raw, collector] = [await broker.session(), await broker.session('collector')];
    await collector.register('w');
    await raw.request('task.submit', { operation: 'first' });
    const { classes, operations, collectors, tasks, freed } = broker.state;
    const walks = countIterations(
      classes.byKey,
      classes.empty,
      operations.byName,
      operations.idle,
      collectors,
      tasks,
      freed,
    );
    const ids = await submit(raw, count, (at) => ({ operation: `op-${at}` }));
    await cancel(raw, ids);
    return walks.count;
  };
  const [once, twice] = [await walked(2000), await walked(4000)];
  expect(once).toBeGreaterThan(0);
  expect(twice).toBeLessThan(once * 2.5);
});
