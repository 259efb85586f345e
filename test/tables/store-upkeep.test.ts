/** What operators ask of the store, over a socket: every answer and every fault, and what ends the work on it. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { type Store, StoreError, type UpkeepOptions } from '../../src/store/port.ts';
import { harness, until } from '../broker/harness.ts';
import { over } from '../simulation/plant.ts';
import { bystander } from './bystander.ts';

/** A store whose long work ends only when it is told to. */
class Endless {
  begun = 0;
  ended: unknown;
  readonly #work = (signal: AbortSignal | undefined): Promise<never> => {
    if (this.begun > 0 && this.ended === undefined)
      return Promise.reject(new StoreError('store_busy', 'A backup of the store is under way.'));
    this.begun++;
    this.ended = undefined;
    return new Promise((_, reject) =>
      signal!.addEventListener('abort', () => {
        this.ended = signal!.reason;
        reject(signal!.reason);
      }),
    );
  };
  readonly store: Store = over(new MemoryStore(), {
    backup: (_, { signal }) => this.#work(signal),
    compact: ({ signal }: UpkeepOptions = {}) => this.#work(signal),
  });
}

const directory = '/nowhere/backup';

test('store.status, store.backup and store.compact of a store on the disk', async () => {
  const root = mkdtempSync(join(tmpdir(), 'deye-upkeep-'));
  try {
    await using broker = await harness({}, { socket: true, store: journalStoreIn(join(root, 'store')) });
    const operator = await broker.session();
    await operator.request('task.submit', { operation: 'work', payload: 'x' });
    expect(await operator.request('store.status', {})).toMatchObject({
      ...{ engine: 'journal', directory: join(root, 'store'), sync: 'batch', is_full: false, epoch: 1, live_tasks: 1 },
      journal: { segments: 1 },
      book: { ended_tasks: 0 },
    });
    const to = join(root, 'copy');
    expect(await operator.request('store.backup', { directory: to })).toMatchObject({ directory: to, epoch: 1 });
    expect(readdirSync(to).sort()).toEqual(['book.db', 'journal', 'manifest.json']);
    expect(await operator.refused('store.backup', { directory: to })).toMatchObject({
      code: 'target_exists',
      message: expect.stringContaining(`${to} is not empty`),
    });
    const file = join(root, 'file');
    writeFileSync(file, '');
    expect(await operator.refused('store.backup', { directory: join(file, 'below') })).toMatchObject({
      code: 'backup_failed',
      message: expect.stringMatching(/Nothing can be written to .*Name another place/),
      context: { cause: 'store_unavailable' },
    });
    const { journal } = await operator.request('store.compact', {});
    expect(journal.bytes_after).toBe(journal.bytes_before);
    const { broker: about } = await operator.request('broker.snapshot', {});
    expect(about).toMatchObject({ sync: 'batch', is_store_full: false });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test('a store in memory: its status, and that there is nothing to be copied or compacted', async () => {
  await using broker = await harness({}, { socket: true });
  const operator = await broker.session();
  expect(await operator.request('store.status', {})).toMatchObject({ engine: 'memory', live_tasks: 0 });
  const refusal = { code: 'unsupported_operation', message: expect.stringMatching(/in memory.*store on the disk/) };
  expect(await operator.refused('store.backup', { directory })).toMatchObject(refusal);
  expect(await operator.refused('store.compact', {})).toMatchObject(refusal);
});

test('a directory is named absolutely, since the broker runs somewhere else', async () => {
  await using broker = await harness({}, { socket: true });
  const operator = await broker.session();
  for (const wrong of ['copy', './copy', '', `/${'x'.repeat(5000)}`])
    expect(await operator.refused('store.backup', { directory: wrong })).toMatchObject({ code: 'invalid_params' });
});

test.each([
  ['store.backup', { directory }],
  ['store.compact', {}],
] as const)('%s: a second is refused, a cancel ends it, and everything else goes on', async (method, params) => {
  const endless = new Endless();
  await using broker = await harness({}, { socket: true, store: endless.store });
  const other = await bystander(broker);
  const operator = await broker.session();
  const id = operator.ask(method, params);
  await until(() => endless.begun === 1, 'it began');
  for (const [busy, its] of [
    ['store.backup', { directory }],
    ['store.compact', {}],
  ] as const)
    expect(await operator.refused(busy, its)).toMatchObject({ code: 'store_busy' });
  expect(await operator.request('store.status', {})).toMatchObject({ engine: 'memory' });
  operator.send(Kind.cancel, id);
  expect(await operator.refusal(id)).toMatchObject({ code: 'cancelled' });
  expect(endless.ended).toBeInstanceOf(Error);
  // The id may be used again, and a cancel of it ends nothing more.
  operator.send(Kind.cancel, id);
  operator.ask(method, params);
  await until(() => endless.begun === 2, 'it began again');
  await other.unharmed();
});

test('once the work on it has ended, a cancel of its id is one of the next request with that id', async () => {
  const endless = new Endless();
  await using broker = await harness({}, { socket: true, store: endless.store });
  const operator = await broker.session();
  const { id: task } = await operator.request('task.submit', { operation: 'work', payload: 'x' });
  const id = operator.ask('store.compact', {});
  await until(() => endless.begun === 1, 'it began');
  operator.send(Kind.cancel, id);
  expect(await operator.refusal(id)).toMatchObject({ code: 'cancelled' });
  operator.send(Kind.request, id, 'broker', 'task.wait', { id: task }, 5000);
  operator.send(Kind.cancel, id);
  expect(await operator.refusal(id)).toMatchObject({ code: 'cancelled' });
});

test.each([
  ['store.backup', { directory }],
  ['store.compact', {}],
] as const)('%s ends when its caller goes', async (method, params) => {
  const endless = new Endless();
  await using broker = await harness({}, { socket: true, store: endless.store });
  const operator = await broker.session();
  operator.ask(method, params);
  await until(() => endless.begun === 1, 'it began');
  operator.stream.destroy();
  await until(() => endless.ended !== undefined, 'it ends');
});

test('store.compact: store_full; what else goes wrong is told as such', async () => {
  let error: Error = new StoreError('store_full', 'There is no room. Make room.');
  const fails = async (): Promise<never> => {
    throw error;
  };
  const store = over(new MemoryStore(), { compact: fails, backup: fails, status: fails });
  await using broker = await harness({}, { socket: true, store });
  const operator = await broker.session();
  expect(await operator.refused('store.compact', {})).toMatchObject({ code: 'store_full' });
  expect(await operator.refused('store.backup', { directory })).toMatchObject({
    code: 'backup_failed',
    context: { cause: 'store_full' },
  });
  error = new StoreError('store_corrupt', 'The journal is damaged.');
  expect(await operator.refused('store.backup', { directory })).toMatchObject({
    code: 'store_failed', // trying again does not help
    message: expect.stringMatching(/journal is damaged\. .*deye store compact/),
  });
  error = new Error('The disk hums.');
  const failed = { code: 'store_failed', message: expect.stringContaining('The disk hums.') };
  expect(await operator.refused('store.compact', {})).toMatchObject(failed);
  expect(await operator.refused('store.status', {})).toMatchObject(failed);
});
