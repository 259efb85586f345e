import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { SqliteBook } from '../../src/book/sqlite-book.ts';
import { ThreadedBook } from '../../src/book/threaded-book.ts';
import { bookConformance, bytesOf, endedTask, failedAttempt, positionAt } from '../conformance/book.ts';
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

describe('the book on SQLite', () => {
  test('a new one is a file that others cannot read', () => {
    const { path } = opened();
    expect(statSync(path).mode & 0o077).toBe(0);
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
