/** After a commit has failed: nothing that depends on it leaves, everybody is told why, and the broker can be stopped. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { StoreError } from '../../src/store/port.ts';
import { GatedStore } from './gated-store.ts';
import { harness } from './harness.ts';
import { settle, VirtualClock } from './virtual-clock.ts';

async function scene() {
  const store = new GatedStore();
  const fatal: Error[] = [];
  const broker = await harness({}, { store, fatal: (error) => fatal.push(error) });
  return { broker, store, fatal };
}

test('outputs of the commit and of all later inputs never leave, and everybody gets store_unwritable', async () => {
  const { broker, store, fatal } = await scene();
  await using _ = broker;
  const [submitter, reader, watcher] = [await broker.session(), await broker.session(), await broker.session()];
  await watcher.request('topic.subscribe', { patterns: ['tasks.#', 'control.#'] });
  const collector = await broker.session('collector');
  await collector.register('w');
  const before = await submitter.request('task.submit', { operation: 'dream' });
  await settle();
  watcher.frames.length = 0;
  store.hold();
  store.failing = true;
  submitter.ask('task.submit', { operation: 'work' });
  await submitter.pong();
  // Stepped while the commit is on its way: they may leave only after it.
  reader.ask('broker.snapshot', {});
  reader.ask('task.show', { id: before.id });
  submitter.ask('task.submit', { operation: 'later' });
  await reader.pong();
  await settle();
  store.release();
  for (const raw of [submitter, reader, watcher, collector]) {
    expect(await raw.goodbye()).toMatchObject({ code: 'store_unwritable', context: { cause: 'store_failed' } });
    expect(raw.frames).toEqual([]);
  }
  expect(fatal.map(({ message }) => message)).toEqual(['The disk has gone.']);
});

test('stop resolves after a failed commit, whichever way it is asked for', async () => {
  for (const type of ['graceful', 'immediate'] as const) {
    const { broker, store, fatal } = await scene();
    const raw = await broker.session();
    await (await broker.session('collector')).register('w');
    await raw.request('task.submit', { operation: 'work' });
    store.failing = true;
    raw.ask('task.submit', { operation: 'work' });
    await raw.goodbye();
    await broker.running.stop(type);
    expect(fatal).toHaveLength(1);
  }
});

test('stop resolves when the commit fails while it waits for it', async () => {
  const { broker, store } = await scene();
  const raw = await broker.session();
  store.hold();
  store.failing = true;
  raw.ask('task.submit', { operation: 'work' });
  await raw.pong();
  const stopped = broker.running.stop('graceful');
  store.release();
  await stopped;
  expect((await raw.goodbye()).code).toBe('store_unwritable');
});

test('the failure is told once, and whoever comes afterwards is told so, too', async () => {
  const { broker, store, fatal } = await scene();
  await using _ = broker;
  const [one, two] = [await broker.session(), await broker.session()];
  store.hold();
  store.failing = true;
  one.ask('task.submit', { operation: 'a' });
  // Its id is older than anything: it is looked up, and the look-up fails as well.
  two.ask('task.submit', { operation: 'a', id: '00000000-0000-7000-8000-000000000000' });
  await Promise.all([one.pong(), two.pong()]);
  store.release();
  await Promise.all([one.goodbye(), two.goodbye()]);
  expect((await broker.raw().hello().goodbye()).code).toBe('store_unwritable');
  await settle();
  expect(fatal).toHaveLength(1);
});

test('retention that cannot read ends the broker', async () => {
  const store = new GatedStore();
  store.expired = () => Promise.reject(new StoreError('store_full', 'The disk is full.'));
  store.failing = true;
  const fatal: Error[] = [];
  await using broker = await harness({}, { store, fatal: (error) => fatal.push(error) });
  const raw = broker.raw().hello().send(Kind.request, 70_000, 'broker', 'task.submit', { operation: 'a' }, 0);
  expect(await raw.goodbye()).toMatchObject({ code: 'store_unwritable' });
  await settle();
  expect([raw.frames.filter(([kind]) => kind === Kind.reply), fatal]).toMatchObject([[], [{ code: 'store_full' }]]);
});

test('a store that is not where it was ends the broker, though nobody asks for anything', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const fatal: Error[] = [];
  await using broker = await harness({}, { store, clock, fatal: (error) => fatal.push(error) });
  const raw = await broker.session();
  await clock.advance(5000);
  expect(fatal).toEqual([]);
  store.check = () => Promise.reject(new StoreError('store_removed', 'It was removed.'));
  await clock.advance(1000);
  expect(await raw.goodbye()).toMatchObject({ code: 'store_unwritable', context: { cause: 'store_removed' } });
  expect(fatal).toHaveLength(1);
});

test('a look-up that fails ends the broker and answers nobody', async () => {
  const { broker, store, fatal } = await scene();
  await using _ = broker;
  const raw = await broker.session();
  store.states = () => Promise.reject(new StoreError('store_failed', 'The disk has gone.'));
  raw.ask('task.submit', { operation: 'a', id: '00000000-0000-7000-8000-000000000000' });
  const why = await raw.goodbye();
  expect([why.code, raw.frames, fatal.length]).toEqual(['store_unwritable', [], 1]);
});
