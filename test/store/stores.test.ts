import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { journalIn } from '../../src/store/layout.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { loadAt, submitted } from '../conformance/records.ts';
import { storeConformance } from '../conformance/store.ts';
import { filesOf, releasedInPart } from './fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'deye-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const newDirectory = (): string => join(mkdtempSync(join(root, 'journal-')), 'store');

storeConformance('memory', () => {
  const store = new MemoryStore();
  return { store, reopen: async () => store };
});

storeConformance('journal', () => {
  const directory = newDirectory();
  return { store: journalStoreIn(directory), reopen: async () => journalStoreIn(directory) };
});

test('in memory a commit takes time in proportion to its records, and an id that it has twice is refused', async () => {
  const many = Array.from({ length: 40_000 }, (_, at) => submitted(at, `task-of-a-large-commit-${at}`));
  const store = new MemoryStore();
  await store.load(loadAt(1));
  const before = performance.now();
  await store.commit(many);
  expect(performance.now() - before).toBeLessThan(4000); // looking through all for each takes several times that
  const twice = [submitted(50_000, 'new'), submitted(50_001, 'other'), submitted(50_002, 'new')];
  await expect(store.commit(twice)).rejects.toThrow('task new is stored already');
  expect(await store.states(['new', 'other'])).toEqual(new Map());
});

test('all of it is for its owner only, whatever the umask', async () => {
  const before = process.umask(0);
  const directory = newDirectory();
  const store = journalStoreIn(directory);
  await store.load(loadAt(1));
  await store.commit([submitted(1, 'a')]);
  process.umask(before);
  for (const name of ['', ...readdirSync(directory, { recursive: true, encoding: 'utf8' })]) {
    const stat = statSync(join(directory, name));
    expect([name, stat.mode & 0o777]).toEqual([name, stat.isDirectory() ? 0o700 : 0o600]);
  }
  await store.close();
});

test('a start that is refused for want of its book leaves none behind', async () => {
  const directory = newDirectory();
  await releasedInPart(directory);
  const before = filesOf(directory);
  for (const _ of [1, 2]) {
    const store = journalStoreIn(directory);
    await expect(store.load(loadAt(1))).rejects.toMatchObject({ code: 'store_corrupt' });
    await store.close();
    expect(filesOf(directory)).toEqual(before);
  }
});

test('a book that was there stays, also when the journal is refused', async () => {
  const directory = newDirectory();
  const made = journalStoreIn(directory);
  await made.load(loadAt(1));
  await made.commit([submitted(1, 'a')]);
  await made.close();
  rmSync(journalIn(directory), { recursive: true });
  const before = filesOf(directory);
  const store = journalStoreIn(directory);
  await expect(store.load(loadAt(1))).rejects.toMatchObject({ code: 'store_corrupt' });
  await store.close();
  expect(filesOf(directory)).toEqual(before);
  expect([...before.keys()]).toContain('book.db');
});

describe('a link is refused, and what it leads to is left alone', () => {
  test.each(['', 'journal', 'book.db', 'book.db-wal', 'book.db-shm'])('at store/%s', async (name) => {
    const directory = newDirectory();
    if (name !== '') {
      const store = journalStoreIn(directory);
      await store.load(loadAt(1));
      await store.close();
      rmSync(join(directory, name), { recursive: true, force: true });
    }
    const target = join(root, 'mine');
    symlinkSync(target, join(directory, name));
    const store = journalStoreIn(directory);
    await expect(store.load(loadAt(1))).rejects.toMatchObject({
      code: 'store_unsafe',
      message: expect.stringMatching(/is a symbolic link.*(itself there, or move it away|Move it away, and put)/),
    });
    await store.close();
    expect(readdirSync(root)).not.toContain('mine');
  });
});
