import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { BookReader } from '../../src/book/book-reader.ts';
import type { EndedFilter } from '../../src/book/port.ts';
import { busyMs } from '../../src/book/schema.ts';
import { SqliteBook } from '../../src/book/sqlite-book.ts';
import { ThreadedBook } from '../../src/book/threaded-book.ts';
import { bookConformance, bytesOf, endedTask, failedAttempt, positionAt } from '../conformance/book.ts';
import { expiryOf, specOf } from '../conformance/records.ts';
import { BookTwin } from '../twins/book.ts';
import { inlineBook } from './inline-book.ts';

const directory = mkdtempSync(join(tmpdir(), 'deye-book-'));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;
const newPath = (): string => join(directory, `${++files}.db`);
const open: SqliteBook[] = [];
afterEach(() => {
  for (const book of open.splice(0)) book.close();
});

const opened = (path = newPath()) => {
  const book = new SqliteBook(path);
  open.push(book);
  return { book, path };
};

bookConformance('the twin of the', () => {
  const twin = new BookTwin();
  return { open: () => twin.attach(), kill: async () => twin.kill(), cutPower: async () => twin.cutPower(() => 0) };
});

for (const [name, engine] of [
  ['the SQLite', inlineBook],
  ['the threaded', (path: string) => new ThreadedBook(path)],
] as const)
  bookConformance(name, () => {
    let path = newPath();
    // The files as they are now, while the book is open: what a new process finds.
    const moveTo = async (names: readonly string[]): Promise<void> => {
      const next = newPath();
      for (const suffix of names) if (existsSync(path + suffix)) copyFileSync(path + suffix, next + suffix);
      path = next;
    };
    return { open: () => engine(path), kill: () => moveTo(['', '-wal']), cutPower: () => moveTo(['']) };
  });

test('nothing more is safe while another program reads the book, and it goes on', () => {
  const { book, path } = opened();
  book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
  expect(book.checkpoint()).toEqual(positionAt(1));
  const other = new DatabaseSync(path);
  other.exec('BEGIN');
  other.prepare('SELECT * FROM task').all();
  book.apply(bytesOf(endedTask(2, 'b')), positionAt(2));
  expect(book.checkpoint()).toBeUndefined();
  other.close();
  expect(book.checkpoint()).toEqual(positionAt(2));
});

describe('a write-ahead file that SQLite began anew without a checkpoint of ours belongs to its main file', () => {
  const readNewest = (path: string, book: SqliteBook): void => {
    const other = new DatabaseSync(path);
    other.exec('BEGIN');
    other.prepare('SELECT * FROM task').all();
    book.checkpoint();
    other.close();
  };
  const saved = (path: string): void => {
    const other = new DatabaseSync(path);
    other.exec('PRAGMA wal_checkpoint(PASSIVE)');
    other.close();
  };
  test.each<[string, (path: string, book: SqliteBook) => void]>([
    ['another program read the newest of it while it was saved', readNewest],
    ['another program saved it', saved],
    [
      'another program saved it, and pages were given back then',
      (path, book) => {
        book.apply(bytesOf({ kind: 'purged', seqs: [7] }), positionAt(2));
        saved(path);
        book.shrink(true);
      },
    ],
  ])('%s', (_, act) => {
    const { book, path } = opened();
    const large = specOf('large', { payload: new Uint8Array(400_000) });
    book.apply(bytesOf(endedTask(1, 'a'), endedTask(7, 'large', { spec: large })), positionAt(1));
    act(path, book);
    book.apply(bytesOf(endedTask(2, 'b')), positionAt(3));
    book.apply(bytesOf(endedTask(3, 'c')), positionAt(4));
    const copy = newPath();
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copy + suffix); // as a kill leaves it
    const { book: again } = opened(copy);
    expect(again.open()).toEqual(positionAt(4));
    expect(['a', 'b', 'c'].map((id) => again.show(id)?.seq)).toEqual([1, 2, 3]);
  });

  test('whoever reads it holds nothing up', () => {
    const { book, path } = opened();
    book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
    const other = new DatabaseSync(path);
    other.exec('BEGIN');
    other.prepare('SELECT * FROM task').all();
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec');
    expect(book.checkpoint()).toEqual(positionAt(1)); // all of it is in the main file
    expect(exec.mock.calls.flat()).toEqual(['PRAGMA busy_timeout = 0', `PRAGMA busy_timeout = ${busyMs}`]);
    exec.mockRestore();
    book.apply(bytesOf(endedTask(2, 'b')), positionAt(2));
    expect(book.checkpoint()).toBeUndefined();
    other.close();
  });
});

describe('the write-ahead file is cut while the book is open', () => {
  test.each([
    ['all of it', 0],
    ['but for its head', 32],
    ['in a frame', 5000],
    ['by a byte', -1],
  ])('%s: nothing more is written, and the main file stays as it was saved', (_, at) => {
    const { book, path } = opened();
    const entered = (seq: number) =>
      bytesOf(...Array.from({ length: 200 }, (_, one) => endedTask(seq * 1000 + one, `t${seq}-${one}`)));
    book.apply(entered(1), positionAt(1));
    book.checkpoint();
    const saved = readFileSync(path);
    for (const sequence of [2, 3, 4]) book.apply(entered(sequence), positionAt(sequence));
    truncateSync(`${path}-wal`, at < 0 ? statSync(`${path}-wal`).size + at : at);
    const cut = expect.objectContaining({ code: 'book_cut' });
    expect(() => book.apply(entered(5), positionAt(5))).toThrow(cut);
    expect(() => book.checkpoint()).toThrow(cut);
    expect(() => book.shrink(true)).toThrow(cut);
    expect(() => book.check()).toThrow(cut);
    open.pop()!.close();
    const left = readFileSync(path);
    expect(left.subarray(0, saved.length).equals(saved)).toBe(true);
    expect(left.subarray(saved.length).every((byte) => byte === 0)).toBe(true); // room for the rest
    const { book: again } = opened(path);
    const from = again.open()!.sequence;
    for (let sequence = from + 1; sequence <= 5; sequence++) again.apply(entered(sequence), positionAt(sequence));
    expect(again.size().tasks).toBe(1000);
    again.checkpoint();
    using db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  });

  test('while SQLite writes to it: it is as long as before, with zeros where frames were', () => {
    const { book, path } = opened();
    const entered = (seq: number) =>
      bytesOf(...Array.from({ length: 200 }, (_, one) => endedTask(seq * 1000 + one, `t${seq}-${one}`)));
    book.checkpoint();
    for (const sequence of [1, 2, 3]) book.apply(entered(sequence), positionAt(sequence));
    const { size } = statSync(`${path}-wal`);
    truncateSync(`${path}-wal`, 5000);
    truncateSync(`${path}-wal`, size); // as after a frame was written behind its end
    const cut = expect.objectContaining({ code: 'book_cut' });
    expect(() => book.apply(entered(4), positionAt(4))).toThrow(cut);
    expect(() => book.checkpoint()).toThrow(cut);
    open.pop()!.close();
    expect(opened(path).book.open()?.sequence ?? 0).toBeLessThan(3);
  });

  test('one that is begun anew, which another program held up, is no cut one', () => {
    const { book, path } = opened();
    for (const sequence of [1, 2, 3]) book.apply(bytesOf(endedTask(sequence, `t${sequence}`)), positionAt(sequence));
    const other = new DatabaseSync(path);
    other.exec('BEGIN');
    other.prepare('SELECT * FROM task').all();
    expect(book.checkpoint()).toEqual(positionAt(3));
    other.close();
    for (const sequence of [4, 5, 6]) book.apply(bytesOf(endedTask(sequence, `t${sequence}`)), positionAt(sequence));
    expect(book.checkpoint()).toEqual(positionAt(6));
    expect(book.size().tasks).toBe(6);
  });

  test('one that was sound is saved when the book is closed', () => {
    const { book, path } = opened();
    book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
    open.pop()!.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(opened(path).book.open()).toEqual(positionAt(1));
  });
});

test('a write-ahead file of another time is left as it is by the open that refuses it', () => {
  const old = opened();
  old.book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
  old.book.checkpoint();
  const main = readFileSync(old.path);
  for (const sequence of [2, 3]) {
    old.book.apply(bytesOf(endedTask(sequence, `t${sequence}`)), positionAt(sequence));
    old.book.checkpoint();
  }
  old.book.apply(bytesOf(endedTask(4, 'd')), positionAt(4));
  const [path, log] = [newPath(), readFileSync(`${old.path}-wal`)];
  writeFileSync(path, main);
  writeFileSync(`${path}-wal`, log);
  for (let tries = 0; tries < 3; tries++) {
    expect(() => opened(path)).toThrow(expect.objectContaining({ code: 'book_damaged' }));
    expect([readFileSync(path).equals(main), readFileSync(`${path}-wal`).equals(log)]).toEqual([true, true]);
  }
});

test('a write-ahead file over a main file that went another way at the same batch is refused', () => {
  const both = [11, 22].map((crc) => {
    const one = opened();
    one.book.apply(bytesOf(endedTask(1, `t${crc}`)), { ...positionAt(1), crc });
    one.book.checkpoint();
    const main = readFileSync(one.path);
    one.book.apply(bytesOf(endedTask(2, 'b')), { ...positionAt(2), crc });
    return { main, log: readFileSync(`${one.path}-wal`) };
  });
  const path = newPath();
  writeFileSync(path, both[0]!.main);
  writeFileSync(`${path}-wal`, both[1]!.log);
  expect(() => opened(path)).toThrow(expect.objectContaining({ code: 'book_damaged' }));
});

test('a write-ahead file beside an empty main file is left as it is', () => {
  const { book, path } = opened();
  book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
  const [copy, log] = [newPath(), readFileSync(`${path}-wal`)];
  writeFileSync(copy, '');
  writeFileSync(`${copy}-wal`, log);
  const damaged = expect.objectContaining({ code: 'book_damaged' });
  expect(() => opened(copy)).toThrow(damaged);
  expect(() => new BookReader(copy, false)).toThrow(damaged);
  expect(readFileSync(`${copy}-wal`).equals(log)).toBe(true);
});

test('a copy has its tables where every book has them', async () => {
  const { book, path } = opened();
  book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
  const copy = newPath();
  await book.copyTo(copy);
  const placesIn = (file: string) => {
    using db = new DatabaseSync(file, { readOnly: true });
    return db.prepare('SELECT name, rootpage FROM sqlite_schema ORDER BY name').all();
  };
  expect(placesIn(copy)).toEqual(placesIn(path));
  expect(opened(copy).book.show('a')).toMatchObject({ seq: 1 });
});

describe('the book on SQLite', () => {
  test('a new one is a file that others cannot read', () => {
    const { path } = opened();
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  test('slices grow with what the ones before took, and together they delete each task once', () => {
    const { book } = opened();
    const seqs = Array.from({ length: 3000 }, (_, at) => at + 1);
    book.apply(bytesOf(...seqs.map((seq) => endedTask(seq, `t${seq}`))), positionAt(1));
    const slices: (readonly number[])[] = [];
    for (let sequence = 2; ; sequence++) {
      const { tasks } = book.expired(expiryOf({ beforeMs: 1e6 }));
      if (tasks.length === 0) break;
      slices.push(tasks);
      book.apply(bytesOf({ kind: 'purged', seqs: tasks }), positionAt(sequence));
    }
    expect(slices.flat()).toEqual(seqs);
    expect(Math.max(...slices.map(({ length }) => length))).toBeGreaterThan(slices[0]!.length);
  });

  test('what is entered beside them does not make slices smaller', () => {
    const { book } = opened();
    const ended = (first: number, count: number) =>
      Array.from({ length: count }, (_, at) => endedTask(first + at, `t${first + at}`));
    book.apply(bytesOf(...ended(1, 1000)), positionAt(1));
    const slices: (readonly number[])[] = [];
    for (let sequence = 2; sequence < 22; sequence++) {
      const { tasks } = book.expired(expiryOf({ beforeMs: 1e6 }));
      slices.push(tasks);
      book.apply(bytesOf(...ended(1000 * sequence, 1000), { kind: 'purged', seqs: tasks }), positionAt(sequence));
    }
    expect(Math.max(...slices.map(({ length }) => length))).toBeGreaterThan(10 * slices[0]!.length);
  });

  test('a slice is as many tasks as their bodies allow, and one at least', () => {
    const { book } = opened();
    const large = specOf('large', { payload: new Uint8Array(400_000) });
    book.apply(bytesOf(...Array.from({ length: 100 }, (_, seq) => endedTask(seq + 1, `t${seq}`))), positionAt(1));
    book.apply(bytesOf(endedTask(101, 'large', { spec: large, atMs: 1 })), positionAt(2));
    expect(book.expired(expiryOf({ beforeMs: 1e6 })).tasks).toEqual([101]);
    book.apply(bytesOf({ kind: 'purged', seqs: [101] }), positionAt(3));
    const { tasks } = book.expired(expiryOf({ beforeMs: 1e6 }));
    expect(tasks).toEqual(tasks.map((_, order) => order + 1));
    expect(tasks.length).toBeGreaterThan(1);
    expect(tasks.length).toBeLessThan(20);
  });

  test('its bytes are the pages in use; what is over is deleted, and no more', () => {
    const { book, path } = opened();
    const payload = new Uint8Array(40_000);
    const all = Array.from({ length: 50 }, (_, seq) =>
      endedTask(seq + 1, `t${seq}`, { spec: specOf(`t${seq}`, { payload }) }),
    );
    book.apply(bytesOf(...all), positionAt(1));
    using db = new DatabaseSync(path);
    const bytes = Number(db.prepare('PRAGMA page_count').get()!.page_count) * 4096;
    expect(book.expired(expiryOf({ bytesMax: bytes })).bodies).toEqual([]);
    expect(book.expired(expiryOf({ bytesMax: bytes - 1 })).bodies).toEqual([1]);
    const { tasks, bodies } = book.expired(expiryOf({ bytesMax: 1 }));
    expect([tasks, bodies.length]).toEqual([[], 4]); // 64 pages, and the one that is over
    book.apply(bytesOf({ kind: 'trimmed', seqs: bodies }), positionAt(2));
    expect(book.expired(expiryOf({ bytesMax: 1 })).bodies[0]).toBe(5);
  });

  test('a list follows an index, whatever it asks for', () => {
    const { book, path } = opened();
    using prepared = vi.spyOn(DatabaseSync.prototype, 'prepare');
    const filters: readonly Partial<EndedFilter>[] = [
      ...[{}, { beforeSeq: 9 }, { states: ['dead_letter'] }, { states: ['dead_letter', 'completed'], beforeSeq: 9 }],
      ...[{ operation: 'scan' }, { operation: 'scan', states: ['completed'], beforeSeq: 9 }],
    ] as const;
    const none = { states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 9 };
    for (const filter of filters) book.list({ ...none, ...filter });
    const asked = prepared.mock.calls.map(([sql]) => sql);
    expect(asked).toHaveLength(2 + 1 + 2 + 3 + 1);
    using db = new DatabaseSync(path);
    const plans = asked.map((sql) => {
      const values = sql.match(/\?/g)!.map(() => 1);
      return db
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...values)
        .map(({ detail }) => String(detail))
        .join('; ');
    });
    for (const [at, plan] of plans.entries()) {
      expect(plan, asked[at]).not.toContain('TEMP B-TREE');
      expect(plan, asked[at]).toMatch(
        asked[at]!.includes('operation =')
          ? /task_operation \(operation=\? AND state=\?/
          : asked[at]!.includes('state =')
            ? /task_state \(state=\?/
            : /^(SCAN task|SEARCH task USING INTEGER PRIMARY KEY \(rowid<\?\))$/,
      );
    }
  });

  test('anything for a write-ahead file costs what was not saved at most', () => {
    const { path, book } = opened();
    book.close();
    open.pop();
    const script = `
      import { SqliteBook } from ${JSON.stringify(new URL('../../src/book/sqlite-book.ts', import.meta.url).href)};
      const book = new SqliteBook(${JSON.stringify(path)});
      const records = Uint8Array.from(${JSON.stringify([...bytesOf(endedTask(1, 'a'))])});
      book.apply(records, { storeId: 'ab', epoch: 3, sequence: 1, crc: 7 });
      console.log(JSON.stringify(book.checkpoint()));
      book.apply(new Uint8Array(0), { storeId: 'ab', epoch: 3, sequence: 2, crc: 14 });
      process.kill(process.pid, 'SIGKILL');
    `;
    let output = '';
    try {
      execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    } catch (killed) {
      output = (killed as { stdout: string }).stdout;
    }
    expect(JSON.parse(output)).toEqual(positionAt(1));
    expect(existsSync(`${path}-wal`)).toBe(true);
    writeFileSync(`${path}-wal`, 'anything but a write-ahead file');
    expect(opened(path).book.open()).toEqual(positionAt(1));
  });
});

describe('a book that cannot be trusted is refused', () => {
  test('of another program, of a newer deye, or no SQLite file', () => {
    const refused = (change: (path: string) => void) => {
      const path = newPath();
      change(path);
      try {
        opened(path);
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'opened';
    };
    const sql = (text: string) => (path: string) => {
      const db = new DatabaseSync(path);
      db.exec(text);
      db.close();
    };
    expect(refused(sql('CREATE TABLE notes (text)'))).toBe('book_foreign');
    expect(refused((path) => writeFileSync(path, 'x'.repeat(5000)))).toBe('book_damaged');
    const made = (change: (path: string) => void) => (path: string) => {
      opened(path).book.close();
      open.pop();
      change(path);
    };
    expect(refused(made(sql('PRAGMA user_version = 99')))).toBe('book_newer');
    expect(refused(made(sql('ALTER TABLE task RENAME COLUMN crc TO csc')))).toBe('book_damaged');
  });

  test.each([
    ['a record', "UPDATE task SET record = x'05'"],
    ['a key beside it', "UPDATE task SET operation = 'other'"],
    ['a body', "UPDATE body SET bytes = x'00'"],
    ['where it stands', 'UPDATE position SET epoch = 4'],
    ['an attempt', "UPDATE attempt SET record = x'00'"],
  ])('%s that is not what was written is never shown', (_, sql) => {
    const { book, path } = opened();
    book.apply(bytesOf(failedAttempt(1, 1), endedTask(1, 'a')), positionAt(1));
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
    expect(() => [book.show('a'), book.attempts(1), book.open()]).toThrow('is damaged');
  });
});
