/** A store that runs is looked at, copied and compacted: nothing is lost, whatever ends it, and commits go on. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { restoreBackup } from '../../src/archive/restore.ts';
import { verifyStore } from '../../src/archive/verify.ts';
import { ThreadedBook } from '../../src/book/threaded-book.ts';
import { blockBytes } from '../../src/journal/header.ts';
import type { Journal } from '../../src/journal/port.ts';
import { isEnded } from '../../src/protocol/state.ts';
import { storeStatusSchema } from '../../src/protocol/store-methods.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { openJournalIn } from '../../src/store/journal-files.ts';
import { JournalStore } from '../../src/store/journal-store.ts';
import { bookIn, journalIn } from '../../src/store/layout.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/port.ts';
import { backupRunning } from '../../src/store/running-backup.ts';
import { type StoreSizes, storeSizes } from '../../src/store/sizes.ts';
import { statusAtRest } from '../../src/store/status.ts';
import { witnessesOf } from '../../src/store/witnesses.ts';
import { loadAt, moved, submitted } from '../conformance/records.ts';
import { GoneError } from '../twins/disk.ts';
import { until } from '../until.ts';
import { contentOf, filled, idOf, Scratch, segmentBytes, written } from './fixture.ts';
import { StoreBench } from './twin-store.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

const options = { version: '1.2.3', wallMs: 5000 };
const bytes = (count: number): Uint8Array => new Uint8Array(count).fill(7);
/** Two segments are made ready beside what goes on. */
const ready = (store: Store): Promise<void> =>
  until(async () => (await store.status()).journal!.bytes_ready >= 2 * segmentBytes, 'what is kept ready is there');
const unfinished = (): string[] => readdirSync(scratch.root).filter((name) => name.includes('unfinished'));

/** A store on real files with sizes of its own. */
async function storeIn(
  directory: string,
  sizes: Partial<StoreSizes>,
  opened: (journal: Journal) => void = () => {},
): Promise<JournalStore> {
  mkdirSync(journalIn(directory), { recursive: true, mode: 0o700 });
  const store: JournalStore = new JournalStore({
    book: new ThreadedBook(bookIn(directory)),
    directory,
    sizes: { ...storeSizes, ...sizes },
    openJournal: async (position) => {
      const journal = await openJournalIn(journalIn(directory), {
        segmentBytes,
        failed: (error) => store.fail(error),
        witnesses: witnessesOf(journalIn(directory), position),
      });
      opened(journal);
      return journal;
    },
  });
  await store.load(loadAt(1));
  return store;
}

/** Fills a new store in which most of what was written lives no more. */
async function wasteful(directory: string, payloadsBytesMax = Number.POSITIVE_INFINITY): Promise<Store> {
  mkdirSync(directory);
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load({ ...loadAt(1), payloadsBytesMax });
  for (let seq = 1; seq <= 120; seq++) {
    await store.commit([submitted(seq, idOf(seq), { payload: bytes(6000) })]);
    if (seq % 10 !== 0) await store.commit([moved(seq, 'completed', { collectorId: 'c1', result: bytes(500) })]);
  }
  return store;
}

test('the status says what is there, and the files at rest say the same', async () => {
  const directory = scratch.path();
  mkdirSync(directory);
  const store = await filled(directory);
  await ready(store);
  const status = storeStatusSchema.parse(await store.status());
  expect(status).toMatchObject({
    engine: 'journal',
    directory,
    sync: 'batch',
    is_full: false,
    epoch: 1,
    live_tasks: 20,
  });
  const { journal, book } = status;
  expect(journal!.last_sequence).toBe(journal!.synced_sequence);
  expect(journal!.bytes_used).toBeGreaterThan(journal!.bytes_alive);
  expect(journal!.bytes_alive).toBeGreaterThan(20 * 5000);
  expect(journal!.held_from).toEqual({ store: expect.any(Number) });
  expect(book!.sequence + book!.behind_batches).toBe(journal!.last_sequence);
  await store.close();
  const rest = storeStatusSchema.parse(await statusAtRest(directory));
  const { sync: _, payloads: __, book: ___, ...same } = status;
  expect(rest).toMatchObject({ ...same, journal: { ...journal, held_from: {} } });
  expect(rest.payloads).toEqual({ bytes_in_memory: 0, count_on_disk: 20 });
  expect(rest.book).toMatchObject({ sequence: journal!.last_sequence, behind_batches: 0, ended_tasks: 20 });
  expect(rest.book!.bytes).toBe(statSync(bookIn(directory)).size);
});

test('the status counts payloads that are not in memory', async () => {
  const store = await wasteful(scratch.path(), 20_000);
  const { payloads, live_tasks } = await store.status();
  expect(live_tasks).toBe(12);
  expect(payloads.count_on_disk).toBeGreaterThan(6);
  expect(payloads.bytes_in_memory).toBeLessThanOrEqual(20_000);
  await store.close();
});

test.each([
  ['in memory', Number.POSITIVE_INFINITY],
  ['on the disk', 0],
])('compact: the journal shrinks, and nothing is lost; payloads are %s', async (_, payloadsBytesMax) => {
  const directory = scratch.path();
  const store = await wasteful(directory, payloadsBytesMax);
  const before = await store.status();
  const seqs = Array.from({ length: 90 }, (__, at) => at + 1).filter((seq) => seq % 10 !== 0);
  await store.commit([{ kind: 'purged', seqs }]); // 81 of 108
  const { journal, book } = await store.compact();
  const after = await store.status();
  expect(journal).toMatchObject({ bytes_before: before.journal!.bytes_used, bytes_after: after.journal!.bytes_used });
  expect(journal.bytes_after).toBeLessThan(journal.bytes_before / 3);
  // All that lived in older segments is in the newest ones.
  expect(after.journal!.first_sequence).toBeGreaterThan(before.journal!.last_sequence - 12);
  expect(book.bytes_after).toBeLessThan(book.bytes_before / 2);
  expect(Math.abs(after.book!.bytes - book.bytes_after)).toBeLessThan(20_000); // its write-ahead file goes on
  for (let seq = 10; seq <= 120; seq += 10) expect(await store.payload(idOf(seq))).toEqual(bytes(6000));
  await store.commit([submitted(121, idOf(121))]);
  await store.close();
  expect((await verifyStore(directory, { isMoving: false })).findings).toEqual([]);
  const [tasks] = await contentOf(directory);
  expect(tasks.filter(({ state }) => !isEnded(state)).map(({ seq }) => seq)).toEqual([
    ...Array.from({ length: 12 }, (__, at) => (at + 1) * 10),
    121,
  ]);
  expect(tasks.filter(({ state }) => state === 'completed')).toHaveLength(27);
});

test('compact: what is on the disk gets smaller, and the status says how much it is', async () => {
  const directory = scratch.path();
  const store = await wasteful(directory);
  const onDisk = (): number =>
    readdirSync(journalIn(directory))
      .filter((name) => name.endsWith('.journal'))
      .reduce((sum, name) => sum + statSync(join(journalIn(directory), name)).size, 0);
  await ready(store);
  const [before, beforeOnDisk] = [(await store.status()).journal!, onDisk()];
  expect(before.bytes_used + before.bytes_ready).toBe(beforeOnDisk);
  const { journal } = await store.compact();
  const after = (await store.status()).journal!;
  expect([journal.ready_before, journal.ready_after]).toEqual([before.bytes_ready, after.bytes_ready]);
  expect(after.bytes_used + after.bytes_ready).toBe(onDisk());
  expect(after.bytes_ready).toBe(2 * segmentBytes);
  expect(beforeOnDisk - onDisk()).toBe(
    journal.bytes_before - journal.bytes_after + journal.ready_before - journal.ready_after,
  );
  expect(onDisk()).toBeLessThan(beforeOnDisk / 2);
  await store.close();
  expect((await verifyStore(directory, { isMoving: false })).findings).toEqual([]);
});

test('what is kept ready for a large batch that does not come is given back; there is no moment without anything', async () => {
  const directory = scratch.path();
  mkdirSync(directory);
  const open = () =>
    openJournalIn(directory, {
      failed: (error) => expect.fail(error.message),
      witnesses: async () => ({}),
    });
  const journal = await open();
  await journal.makeRoom(20_000_000);
  await journal.append([bytes(2_500_000)], 1, 1);
  await journal.makeRoom(0);
  expect(journal.space.readyBytes).toBeGreaterThan(20_000_000);
  const [mebibytes, least] = [1024 * 1024, journal.roomAfter(0)];
  let isDone = false;
  const trimmed = journal.trim().finally(() => (isDone = true));
  while (!isDone) {
    expect(journal.roomAfter(0)).toBeGreaterThan(4_000_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await trimmed;
  expect(journal.roomAfter(0)).toBeLessThan(least);
  expect(journal.space).toMatchObject({ usedBytes: 4 * mebibytes, readyBytes: 8 * mebibytes });
  await journal.append([bytes(2_500_000)], 1, 2); // in one of the new ones
  await journal.close();
  const again = await open();
  expect([again.synced.sequence, again.space.segments]).toEqual([2, 2]);
  await again.close();
});

test('compact: files that are removed while segments are released are told as that, and all is written back', async () => {
  const directory = scratch.path();
  const store = await wasteful(directory);
  const compacting = store.compact().catch((error: unknown) => error);
  let isGone = false;
  const segments = (): number => readdirSync(journalIn(directory)).filter((name) => name.endsWith('.journal')).length;
  const before = segments();
  await until(() => {
    if (segments() < before - 3) {
      rmSync(directory, { recursive: true });
      isGone = true;
    }
    return isGone;
  }, 'some are released');
  expect(await compacting).toMatchObject({ code: 'store_removed' });
  await expect(store.check()).rejects.toMatchObject({
    code: 'store_removed',
    message: expect.stringMatching(/was (removed|moved) while it was open.*written back to/),
  });
  await store.close().catch(() => {});
  const [tasks] = await contentOf(directory);
  expect(tasks.filter(({ state }) => !isEnded(state))).toHaveLength(12);
});

test('compact: commits go on meanwhile', async () => {
  const store = await wasteful(scratch.path());
  let isDone = false;
  const compacting = store.compact().finally(() => (isDone = true));
  let seq = 200;
  for (; !isDone; seq++) await store.commit([submitted(seq, idOf(seq))]);
  await compacting;
  expect(seq).toBeGreaterThan(202);
  expect((await store.status()).live_tasks).toBe(12 + seq - 200);
  await store.close();
});

test('compact: ends while tasks end faster than the book takes them in', async () => {
  const bench = await new StoreBench({ idleBytes: 1024 * 1024 }).start();
  for (let seq = 1; seq <= 12; seq++) await bench.store.commit([submitted(seq, idOf(seq), { payload: bytes(5000) })]);
  bench.stall();
  let isDone = false;
  const compacting = bench.store.compact().finally(() => (isDone = true));
  let seq = 100;
  for (; !isDone && seq < 300; seq++) {
    await bench.store.commit([submitted(seq, idOf(seq)), moved(seq, 'completed')]);
    await bench.letGo(1);
  }
  expect(isDone).toBe(true);
  await compacting;
  await bench.letGo();
  await bench.store.check();
});

test('compact: killed at whatever piece of its work, nothing is lost', async () => {
  const ids = Array.from({ length: 12 }, (_, at) => idOf(at + 1));
  let isOver = false;
  let killed = 0;
  for (let at = 1; !isOver; at++) {
    const bench = await new StoreBench({ idleBytes: 1024 * 1024 }).start();
    for (let seq = 1; seq <= 12; seq++) await bench.store.commit([submitted(seq, idOf(seq), { payload: bytes(5000) })]);
    let work = 0;
    bench.tick = () => {
      if (++work === at) throw new GoneError();
    };
    const compacted = await bench.store.compact().then(
      () => true,
      () => false,
    );
    isOver = compacted && work < at;
    if (!isOver) killed++;
    bench.tick = () => {};
    if (at % 2 === 0) bench.kill();
    else bench.cutPower();
    await bench.start();
    const found = [...bench.loaded.tasks].map(({ spec }) => spec);
    expect(found.map(({ id }) => id)).toEqual(ids);
    for (const { payload } of found) expect(payload).toEqual(bytes(5000));
  }
  expect(killed).toBeGreaterThan(10);
});

test('compact: cancelled, it ends where it is; on a full disk it is refused, and the store goes on', async () => {
  const bench = await new StoreBench({ idleBytes: 1024 * 1024 }).start();
  for (let seq = 1; seq <= 12; seq++) await bench.store.commit([submitted(seq, idOf(seq), { payload: bytes(5000) })]);
  const stop = new AbortController();
  stop.abort(new Error('enough'));
  await expect(bench.store.compact({ signal: stop.signal })).rejects.toThrow('enough');
  Object.defineProperty(bench.store, 'room', { value: { bytes: 100_000, most: 100_000, full: true } });
  await expect(bench.store.compact()).rejects.toMatchObject({ code: 'store_full' });
  await bench.store.commit([submitted(13, idOf(13))]);
  await bench.store.check();
});

test('one at a time; closing the store ends it, and leaves nothing of a copy', async () => {
  const directory = scratch.path();
  const store = await wasteful(directory);
  const to = scratch.path();
  const first = store.backup(to, options);
  const busy = { code: 'store_busy', message: expect.stringContaining('A backup of the store is under way') };
  await expect(store.backup(scratch.path(), options)).rejects.toMatchObject(busy);
  await expect(store.compact()).rejects.toMatchObject(busy);
  await until(() => unfinished().length > 0, 'it began');
  const ended = expect(first).rejects.toMatchObject({ code: 'upkeep_ended' });
  await store.close();
  expect(unfinished()).toEqual([]);
  expect(existsSync(to)).toBe(false);
  await ended;
  expect((await verifyStore(directory, { isMoving: false })).findings).toEqual([]);
});

test('a backup that is cancelled leaves nothing, and holds nothing', async () => {
  const store = await wasteful(scratch.path());
  const [stop, to] = [new AbortController(), scratch.path()];
  const backup = store.backup(to, { ...options, signal: stop.signal });
  await until(() => unfinished().length > 0, 'it began');
  expect((await store.status()).journal!.held_from).toHaveProperty('backup');
  stop.abort(new Error('enough'));
  await expect(backup).rejects.toThrow('enough');
  expect(unfinished()).toEqual([]);
  expect(existsSync(to)).toBe(false);
  expect((await store.status()).journal!.held_from).not.toHaveProperty('backup');
  await store.backup(to, options); // nothing is in its way
  await store.close();
});

test('a journal that grows too far under a backup ends it, and the commits go on', async () => {
  const store = await storeIn(scratch.path(), { idleBytes: blockBytes });
  const setting = (size: number) =>
    [{ kind: 'setting', namespace: 'default', key: 'strategy', value: 'x'.repeat(size) }] as const;
  const used = async () => (await store.status()).journal!.bytes_used;
  await store.commit(setting(10));
  const [to, kept, before] = [scratch.path(), scratch.path(), await used()];
  const outgrown = expect(store.backup(to, options)).rejects.toMatchObject({
    code: 'backup_outgrown',
    message: expect.stringMatching(/more than 4 times.*Try again/),
  });
  for (let count = 0; count < 4; count++) await store.commit(setting(30_000));
  await store.check();
  expect(await used()).toBeGreaterThan(before + 4 * blockBytes);
  await outgrown;
  expect(existsSync(to)).toBe(false);
  await store.compact();
  expect(await used()).toBeLessThanOrEqual(before + segmentBytes); // what was held is released
  await store.backup(kept, options);
  await store.close();
});

test('a disk that is full under the store ends a backup', async () => {
  let isFull = false;
  const store = await storeIn(scratch.path(), {}, (journal) => {
    const { space } = journal;
    Object.defineProperty(journal, 'space', { get: () => ({ ...space, full: isFull }) });
  });
  const backup = expect(store.backup(scratch.path(), options)).rejects.toMatchObject({
    code: 'store_full',
    message: expect.stringMatching(/keeps nothing for a backup/),
  });
  await store.check();
  isFull = true;
  await store.check();
  await backup;
  await store.close();
});

test('what is left of a broker that died under a backup is no backup', async () => {
  const directory = scratch.path();
  mkdirSync(directory);
  const positions = await written(directory, 10);
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let syncs = 0;
  const sync = async (): Promise<void> => {
    if (++syncs === 1) return; // before it begins
    asked.resolve();
    await goOn.promise;
  };
  const to = scratch.path();
  const journal = {
    ...{ storeId: 'ab', epoch: 1, first: 1, hold: () => {}, sync },
    get synced() {
      return positions[syncs < 2 ? 3 : 9]!; // the rest is synced when the book is copied
    },
  };
  const backup = backupRunning(directory, journal, to, options);
  await asked.promise;
  const left = scratch.copy(join(scratch.root, unfinished()[0]!));
  goOn.resolve();
  expect((await backup).sequence).toBe(10);
  expect(existsSync(join(left, 'manifest.json'))).toBe(false);
  await expect(restoreBackup(left, scratch.path())).rejects.toMatchObject({
    code: 'backup_damaged',
    message: expect.stringContaining(`${basename(left)} is no whole backup: it has no manifest.json`),
  });
});

test('a store in memory is looked at, and has nothing to be copied', async () => {
  const store = new MemoryStore();
  await store.load(loadAt(1));
  await store.commit([submitted(1, idOf(1), { payload: bytes(10) }), submitted(2, idOf(2)), moved(2, 'completed')]);
  expect(storeStatusSchema.parse(await store.status())).toEqual({
    ...{ engine: 'memory', sync: 'none', is_full: false, epoch: 1, live_tasks: 1 },
    payloads: { bytes_in_memory: 10, count_on_disk: 0 },
  });
  await expect(store.backup()).rejects.toMatchObject({ code: 'store_in_memory' });
  await expect(store.compact()).rejects.toMatchObject({ code: 'store_in_memory' });
});
