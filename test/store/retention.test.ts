/** What deletions leave in the files of a journal and its book, and what a crash among them leaves. */
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ThreadedBook } from '../../src/book/threaded-book.ts';
import { Reader } from '../../src/core/bytes.ts';
import type { JournalRecord } from '../../src/core/record.ts';
import { readRecord } from '../../src/core/record-bytes.ts';
import type { Journal, JournalSpace } from '../../src/journal/port.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { type DiskSync, journalStoreIn } from '../../src/store/journal-directory.ts';
import { deletionOf, expiryOf, loadAt, moved, purge, submitted } from '../conformance/records.ts';

const nowMs = 1_800_000_000_000;
const root = mkdtempSync(join(tmpdir(), 'deye-retention-'));
afterAll(() => rmSync(root, { recursive: true }));
const stores: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function opened(directory = mkdtempSync(join(root, 'store-')), sync: DiskSync = 'batch') {
  const store = journalStoreIn(directory, { sync });
  stores.push(store);
  return { store, directory, book: join(directory, 'book.db'), loaded: await store.load(loadAt(nowMs)) };
}

const ids = Array.from({ length: 301 }, (_, seq) => uuidv7(nowMs - 1000 + seq));
const idOf = (seq: number): string => ids[seq]!;
const seqsTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

test('the file of the book shrinks after a purge, to a part of what it was', async () => {
  const { store, book } = await opened();
  const payload = new Uint8Array(50_000).fill(7);
  await store.commit(seqsTo(200).flatMap((seq) => [submitted(seq, idOf(seq), { payload }), moved(seq, 'completed')]));
  while (await store.shrink());
  const before = statSync(book).size;
  expect(before).toBeGreaterThan(200 * 50_000);
  expect((await purge(store, { beforeMs: nowMs })).tasks).toHaveLength(200);
  while (await store.shrink());
  // What it keeps free for what comes next is its least.
  expect(statSync(book).size).toBeLessThan(1_200_000);
  expect(statSync(`${book}-wal`).size).toBe(0);
});

test('a file that is in use keeps some free pages, and gives back no others', async () => {
  const { store, book } = await opened();
  const payload = new Uint8Array(50_000).fill(7);
  await store.commit(seqsTo(300).flatMap((seq) => [submitted(seq, idOf(seq), { payload }), moved(seq, 'completed')]));
  while (await store.shrink());
  const before = statSync(book).size;
  // More than its least, and less than an eighth of it.
  expect((await purge(store, { tasksMax: 272 })).tasks).toHaveLength(28);
  while (await store.shrink());
  expect(statSync(book).size).toBe(before);
});

test('a crash between the journal and the book ends with the tasks gone', async () => {
  const { store, directory, book } = await opened();
  await store.commit(seqsTo(30).flatMap((seq) => [submitted(seq, idOf(seq)), moved(seq, 'completed')]));
  await store.close();
  copyFileSync(book, `${book}.before`);
  const { store: second } = await opened(directory);
  const expired = await second.expired(expiryOf({ tasksMax: 20 }));
  expect(expired.tasks.length).toBeGreaterThan(1);
  await second.commit(deletionOf(expired));
  await second.close();
  for (const end of ['-wal', '-shm']) rmSync(book + end, { force: true });
  copyFileSync(`${book}.before`, book);
  const { store: third, loaded } = await opened(directory);
  const left = await third.list({
    states: [],
    operation: undefined,
    collectorId: undefined,
    beforeSeq: undefined,
    limit: 99,
  });
  expect(left.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(
    seqsTo(30).filter((seq) => !expired.tasks.includes(seq)),
  );
  expect(loaded.expiredBeforeMs).toBe(expired.beforeMs);
  expect(expired.beforeMs).toBe(nowMs - 1000 + Math.max(...expired.tasks) + 1);
});

test('what is deleted and not synced yet is not found once more', async () => {
  const { store } = await opened(undefined, '100ms');
  await store.commit(seqsTo(30).flatMap((seq) => [submitted(seq, idOf(seq)), moved(seq, 'completed')]));
  const found: number[] = [];
  for (let slices = 0; slices < 3; slices++) {
    const expired = await store.expired(expiryOf({ beforeMs: nowMs }));
    await store.commit(deletionOf(expired));
    found.push(...expired.tasks);
  }
  expect(found.length).toBeGreaterThan(2);
  expect(found).toEqual(seqsTo(found.length));
});

test('the mark of expired ids is in what is written back when the files were removed', async () => {
  const { store, directory } = await opened();
  await store.commit([submitted(1, idOf(1)), moved(1, 'completed'), submitted(2, idOf(2))]);
  const expired = await store.expired(expiryOf({ beforeMs: nowMs }));
  await store.commit(deletionOf(expired));
  rmSync(directory, { recursive: true });
  await expect(store.check()).rejects.toMatchObject({ code: 'store_removed' });
  const { store: again, loaded } = await opened(directory);
  expect(loaded.expiredBeforeMs).toBe(expired.beforeMs);
  expect(await again.states([idOf(1), idOf(2)])).toEqual(new Map([[idOf(2), 'pending']]));
});

test('deletions are transactions of their own, and what is given before them is entered before', async () => {
  const applied: string[] = [];
  const { apply } = ThreadedBook.prototype;
  const all = Promise.withResolvers<void>();
  ThreadedBook.prototype.apply = async function (records, position) {
    const kinds = new Set<string>();
    for (const reader = new Reader(records.slice()); !reader.done; ) kinds.add(readRecord(reader).kind);
    applied.push([...kinds].join());
    await all.promise;
    return apply.call(this, records, position);
  };
  try {
    const { store } = await opened();
    const end = (seq: number) => [submitted(seq, idOf(seq)), moved(seq, 'completed')];
    await Promise.all([
      store.commit(end(1)),
      ...[2, 3].map((seq) => store.commit(end(seq))),
      store.commit([{ kind: 'purged', seqs: [1] }]),
      store.commit([{ kind: 'trimmed', seqs: [2] }]),
      store.commit(end(4)),
    ]);
    all.resolve();
    expect((await store.expired(expiryOf({ beforeMs: nowMs }))).tasks.toSorted()).toEqual([2, 3, 4]);
    expect(applied.filter((kinds) => kinds.includes('purged') || kinds.includes('trimmed'))).toEqual([
      'purged',
      'trimmed',
    ]);
    expect(await store.show(idOf(2))).toMatchObject({ spec: { payload: new Uint8Array(0) } });
  } finally {
    ThreadedBook.prototype.apply = apply;
  }
});

test('the mark of expired ids is written again before its segment is released', async () => {
  const { JournalStore } = await import('../../src/store/journal-store.ts');
  const { openJournal } = await import('../../src/journal/open.ts');
  const { fileDisk } = await import('../../src/journal/file-disk.ts');
  const directory = mkdtempSync(join(root, 'journal-'));
  let journal: Journal | undefined;
  const store = new JournalStore({
    book: new ThreadedBook(join(mkdtempSync(join(root, 'book-')), 'book.db')),
    openJournal: async () => {
      journal = await openJournal({
        disk: fileDisk(directory),
        segmentBytes: 1024 * 1024,
        sync: 'batch',
        sealMs: 1000,
        later: () => {},
        wallMs: () => nowMs,
        randomBytes: (count) => new Uint8Array(count).fill(1),
        failed: () => {},
        witnesses: async () => ({}),
      });
      return journal;
    },
  });
  stores.push(store);
  await store.load(loadAt(nowMs));
  await store.commit([{ kind: 'expired', beforeMs: 77 }]);
  const first = journal!.synced.sequence;
  const used = { usedBytes: 1e12, readyBytes: 0, segments: 3 };
  const space: JournalSpace = { ...used, oldestLast: first, olderLast: first, full: false };
  Object.defineProperty(journal, 'space', { get: () => space });
  await store.commit([submitted(1, idOf(1))]);
  const again: JournalRecord[] = [];
  for await (const { body } of journal!.read(first + 1))
    for (const reader = new Reader(body); !reader.done; ) again.push(readRecord(reader));
  expect(again).toContainEqual({ kind: 'expired', beforeMs: 77 });
});
