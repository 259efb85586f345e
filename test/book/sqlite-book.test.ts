import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { BookPosition, EndedFilter, Expiry } from '../../src/book/port.ts';
import { SqliteBook } from '../../src/book/sqlite-book.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { JournalRecord, RecordOf } from '../../src/core/record.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { fullRecord, submittedTask } from '../../src/core/replay.ts';
import { expiryOf, moved, specOf } from '../conformance/records.ts';

const directory = mkdtempSync(join(tmpdir(), 'deye-book-'));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;
const open: SqliteBook[] = [];
afterEach(() => {
  for (const book of open.splice(0)) book.close();
});

const opened = (path = join(directory, `${++files}.db`)) => {
  const book = new SqliteBook(path);
  open.push(book);
  return { book, path };
};

const at = (sequence: number): BookPosition => ({ storeId: 'ab', epoch: 3, sequence, crc: sequence * 7 });

function bytesOf(...records: readonly JournalRecord[]): Uint8Array {
  const writer = new Writer();
  for (const record of records) writeRecord(writer, record);
  return writer.written.slice();
}

const ended = (seq: number, id: string, changes: Partial<RecordOf<'task'>> = {}): RecordOf<'task'> => ({
  ...fullRecord(submittedTask({ seq, spec: specOf(id), submittedAtMs: 10 })),
  ...{ state: 'completed', attempt: 1, token: '1.1', atMs: 100 + seq, collectorId: 'A' },
  ...changes,
});

const attempt = (seq: number, number: number, collectorId = 'A'): JournalRecord => ({
  ...{ kind: 'attempt', seq, attempt: number, collectorId, startedAtMs: 1, endedAtMs: 2, outcome: 'failed' },
  error: { code: 'broken', message: 'it broke' },
});

const all: EndedFilter = {
  ...{ states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 100 },
};
const ids = (book: SqliteBook, filter: Partial<EndedFilter> = {}) =>
  book.list({ ...all, ...filter }).map(({ spec }) => spec.id);

describe('the book', () => {
  test('a new one stands nowhere, and a file that others cannot read', () => {
    const { book, path } = opened();
    expect(book.open()).toBeUndefined();
    expect(book.checkpoint()).toBeUndefined();
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  test('what ended is there with its bodies and attempts, and where it stands', () => {
    const { book, path } = opened();
    const task = ended(1, 'a');
    book.apply(
      bytesOf(attempt(1, 1), attempt(1, 2, 'B'), task, moved(1, 'completed', { result: Uint8Array.of(5) })),
      at(4),
    );
    for (const one of [book, opened(path).book]) {
      expect(one.open()).toEqual(at(4));
      const { kind: _, ...fields } = task;
      expect(one.show('a')).toEqual({
        ...fields,
        spec: { ...fields.spec, payload: Uint8Array.from(fields.spec.payload) },
        result: Uint8Array.of(5),
      });
      expect(one.attempts(1).map(({ attempt: number, collectorId }) => [number, collectorId])).toEqual([
        [1, 'A'],
        [2, 'B'],
      ]);
      expect([...one.states(['a', 'none'])]).toEqual([['a', 'completed']]);
      expect(one.show('none')).toBeUndefined();
    }
  });

  test('the same batch again changes nothing', () => {
    const { book } = opened();
    const records = bytesOf(attempt(1, 1), ended(1, 'a'), moved(1, 'completed', { result: Uint8Array.of(5) }));
    for (const _ of [1, 2]) book.apply(records, at(1));
    expect(ids(book)).toEqual(['a']);
    expect(book.attempts(1)).toHaveLength(1);
    expect(book.show('a')?.result).toEqual(Uint8Array.of(5));
  });

  test('a task that lives again is out of it, and keeps its attempts', () => {
    const { book } = opened();
    book.apply(bytesOf(attempt(1, 1), ended(1, 'a', { state: 'dead_letter' })), at(1));
    book.apply(bytesOf(ended(1, 'a', { state: 'pending' })), at(2));
    expect(book.show('a')).toBeUndefined();
    expect(book.attempts(1)).toHaveLength(1);
    book.apply(bytesOf(attempt(1, 2), ended(1, 'a')), at(3));
    expect(book.attempts(1)).toHaveLength(2);
  });

  test('lists the newest first, by state, operation, collector and page, without bodies', () => {
    const { book } = opened();
    book.apply(
      bytesOf(
        ended(1, 'a', { spec: specOf('a', { operation: 'hash' }) }),
        ended(2, 'b', { state: 'cancelled', collectorId: undefined }),
        ended(3, 'c', { collectorId: 'B' }),
      ),
      at(1),
    );
    expect(ids(book)).toEqual(['c', 'b', 'a']);
    expect(ids(book, { limit: 2 })).toEqual(['c', 'b']);
    expect(ids(book, { beforeSeq: 2 })).toEqual(['a']);
    expect(ids(book, { states: ['completed', 'expired' as 'completed'] })).toEqual(['c', 'a']);
    expect(ids(book, { operation: 'hash' })).toEqual(['a']);
    expect(ids(book, { collectorId: 'B', states: ['completed'] })).toEqual(['c']);
    expect(book.list(all).every(({ spec }) => spec.payload.length === 0)).toBe(true);
  });

  test('what expired is named, the oldest first, and a purge takes all of it', () => {
    const { book } = opened();
    const dead = { state: 'dead_letter' } as const;
    book.apply(
      bytesOf(ended(1, 'a', { atMs: 30 }), ended(2, 'b', { atMs: 20 }), ended(3, 'c', { ...dead, atMs: 15 })),
      at(1),
    );
    book.apply(bytesOf(attempt(2, 1), moved(2, 'completed', { result: Uint8Array.of(1) })), at(2));
    const expired = (changes: Partial<Expiry>) => book.expired(expiryOf(changes)).tasks;
    expect(expired({ beforeMs: 31, deadLettersBeforeMs: 15 })).toEqual([2, 1]);
    expect(expired({ beforeMs: 31, deadLettersBeforeMs: 16 })).toEqual([3, 2, 1]);
    expect(expired({ beforeMs: 31, limit: 1 })).toEqual([2]);
    expect(expired({ deadLettersBeforeMs: 16 })).toEqual([3]);
    book.apply(bytesOf({ kind: 'purged', seqs: [2, 3] }), at(3));
    expect(ids(book)).toEqual(['a']);
    expect(book.attempts(2)).toEqual([]);
    expect(book.show('b')).toBeUndefined();
  });

  test('knows how many tasks it has, whatever became of them, and when the latest ended', () => {
    const { book, path } = opened();
    const over = (one: SqliteBook, tasksMax: number) => one.expired(expiryOf({ tasksMax })).tasks;
    const records = bytesOf(ended(1, 'a'), ended(2, 'b', { state: 'dead_letter' }), ended(3, 'c'), ended(4, 'd'));
    for (const _ of [1, 2]) book.apply(records, at(1));
    expect(() => book.apply(bytesOf(ended(5, 'e'), ended(6, 'a')), at(2))).toThrow();
    expect(over(book, 4)).toEqual([]);
    book.apply(bytesOf(ended(2, 'b', { state: 'pending' })), at(2));
    book.apply(bytesOf({ kind: 'purged', seqs: [1, 1, 9] }), at(3));
    const again = opened(path).book;
    for (const one of [book, again]) {
      expect(over(one, 2)).toEqual([]);
      expect(over(one, 1)).toEqual([3]);
      expect(one.newest(1000, 1)).toMatchObject({ endedAtMs: 104, seq: 4 });
    }
  });

  test('deletes in slices: as many tasks as their bodies allow, and one at least', () => {
    const { book } = opened();
    const large = specOf('large', { payload: new Uint8Array(400_000) });
    book.apply(bytesOf(...Array.from({ length: 100 }, (_, seq) => ended(seq + 1, `t${seq}`))), at(1));
    book.apply(bytesOf(ended(101, 'large', { spec: large, atMs: 1 })), at(2));
    expect(book.expired(expiryOf({ beforeMs: 1e6 })).tasks).toEqual([101]);
    book.apply(bytesOf({ kind: 'purged', seqs: [101] }), at(3));
    const { tasks } = book.expired(expiryOf({ beforeMs: 1e6 }));
    expect(tasks).toEqual(tasks.map((_, order) => order + 1));
    expect(tasks.length).toBeGreaterThan(1);
    expect(tasks.length).toBeLessThan(20);
  });

  test('slices grow with what the ones before took, and together they delete each task once', () => {
    const { book } = opened();
    const seqs = Array.from({ length: 3000 }, (_, at) => at + 1);
    book.apply(bytesOf(...seqs.map((seq) => ended(seq, `t${seq}`))), at(1));
    const slices: (readonly number[])[] = [];
    for (let sequence = 2; ; sequence++) {
      const { tasks } = book.expired(expiryOf({ beforeMs: 1e6 }));
      if (tasks.length === 0) break;
      slices.push(tasks);
      book.apply(bytesOf({ kind: 'purged', seqs: tasks }), at(sequence));
    }
    expect(slices.flat()).toEqual(seqs);
    expect(Math.max(...slices.map(({ length }) => length))).toBeGreaterThan(slices[0]!.length);
  });

  test('bodies are deleted alone; what is over is deleted, and no more', () => {
    const { book, path } = opened();
    const payload = new Uint8Array(40_000);
    const all = Array.from({ length: 50 }, (_, seq) =>
      ended(seq + 1, `t${seq}`, { spec: specOf(`t${seq}`, { payload }) }),
    );
    book.apply(bytesOf(...all), at(1));
    using db = new DatabaseSync(path);
    const bytes = Number(db.prepare('PRAGMA page_count').get()!.page_count) * 4096;
    expect(book.expired(expiryOf({ bytesMax: bytes })).bodies).toEqual([]);
    expect(book.expired(expiryOf({ bytesMax: bytes - 1 })).bodies).toEqual([1]);
    const { tasks, bodies } = book.expired(expiryOf({ bytesMax: 1 }));
    expect([tasks, bodies.length]).toEqual([[], 4]); // 64 pages, and the one that is over
    book.apply(bytesOf({ kind: 'trimmed', seqs: bodies }), at(2));
    expect(book.show('t0')).toMatchObject({ state: 'completed', spec: { payload: new Uint8Array(0) } });
    expect(book.expired(expiryOf({ bytesMax: 1 })).bodies[0]).toBe(5);
  });

  test('is entered whole or not at all', () => {
    const { book } = opened();
    book.apply(bytesOf(ended(1, 'a')), at(1));
    // Another task with the same id, and a record that is nothing for the book.
    expect(() => book.apply(bytesOf(ended(2, 'b'), ended(3, 'a')), at(2))).toThrow();
    const setting = { kind: 'setting', namespace: 'default', key: 'k', value: 'v' } as const;
    expect(() => book.apply(bytesOf(ended(2, 'b'), setting), at(2))).toThrow('a setting is nothing for the book');
    expect([book.open(), ids(book)]).toEqual([at(1), ['a']]);
  });

  test('a kill takes transactions from its end at most; a checkpoint is safe from that', () => {
    const { path, book } = opened();
    book.close();
    open.pop();
    const script = `
      import { SqliteBook } from ${JSON.stringify(new URL('../../src/book/sqlite-book.ts', import.meta.url).href)};
      const book = new SqliteBook(${JSON.stringify(path)});
      const records = Uint8Array.from(${JSON.stringify([...bytesOf(ended(1, 'a'))])});
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
    expect(JSON.parse(output)).toEqual(at(1));
    expect(existsSync(`${path}-wal`)).toBe(true);
    writeFileSync(`${path}-wal`, 'anything but a write-ahead file');
    expect(opened(path).book.open()).toEqual(at(1));
  });
});

describe('a book that cannot be trusted is refused', () => {
  test('of another program, of a newer deye, or no SQLite file', () => {
    const refused = (change: (path: string) => void) => {
      const path = join(directory, `${++files}.db`);
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
    expect(
      refused((path) => {
        opened(path).book.close();
        open.pop();
        sql('PRAGMA user_version = 99')(path);
      }),
    ).toBe('book_newer');
  });

  test.each([
    ['a record', "UPDATE task SET record = x'05'"],
    ['a key beside it', "UPDATE task SET operation = 'other'"],
    ['a body', "UPDATE body SET bytes = x'00'"],
    ['an attempt', "UPDATE attempt SET record = x'00'"],
  ])('%s that is not what was written is never shown', (_, sql) => {
    const { book, path } = opened();
    book.apply(bytesOf(attempt(1, 1), ended(1, 'a')), at(1));
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
    expect(() => [book.show('a'), book.attempts(1)]).toThrow('is damaged');
  });
});
