/** The tables of the book, and opening its file: whether it is ours. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { BookError, damagedBook } from './error.ts';
import type { BookPosition } from './port.ts';

/** "deyb" in ASCII: marks the file as ours. */
export const applicationId = 0x64657962;

/**
 * A task is kept from `since_ms` on: its end, or the time of an id that is ahead of that. The bodies of dead letters are
 * deleted last. Beside the position stand the number of tasks and when the latest of them ended, so that neither is counted.
 *
 * One entry per version; entry n brings a book from version n to n + 1. Never edit one that was released.
 */
const migrations = [
  `CREATE TABLE task (
     seq INTEGER PRIMARY KEY, namespace TEXT NOT NULL, id TEXT NOT NULL UNIQUE, operation TEXT NOT NULL,
     collector TEXT, state TEXT NOT NULL, since_ms INTEGER NOT NULL, record BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
   CREATE INDEX task_since ON task (state, since_ms);
   CREATE INDEX task_state ON task (state, seq);
   CREATE INDEX task_operation ON task (operation, state, seq);
   CREATE TABLE body (
     is_last INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, bytes BLOB NOT NULL, crc INTEGER NOT NULL,
     PRIMARY KEY (is_last, seq, kind)) STRICT;
   CREATE TABLE attempt (
     seq INTEGER NOT NULL, attempt INTEGER NOT NULL, record BLOB NOT NULL, crc INTEGER NOT NULL,
     PRIMARY KEY (seq, attempt)) STRICT, WITHOUT ROWID;
   CREATE TABLE position (
     one INTEGER PRIMARY KEY CHECK (one = 1), store_id TEXT NOT NULL, epoch INTEGER NOT NULL,
     sequence INTEGER NOT NULL, crc INTEGER NOT NULL, tasks INTEGER NOT NULL, ended_ms INTEGER NOT NULL,
     saved_sequence INTEGER NOT NULL, saved_crc INTEGER NOT NULL,
     row_crc INTEGER NOT NULL) STRICT;`,
];

/** How long a statement waits for another program. */
export const busyMs = 2000;
/** Of every book: SQLite's default. */
export const pageBytes = 4096;
/** Of one task's payload and result. */
export const bodyBytesSql =
  'SELECT coalesce(sum(length(bytes)), 0) AS bytes FROM body WHERE is_last IN (0, 1) AND seq = ?';

/** How many pages there are, as the open transaction leaves them. */
export const pagesOf = (db: DatabaseSync, pragma: 'page_count' | 'freelist_count'): number =>
  Number(db.prepare(`PRAGMA ${pragma}`).get()![pragma]);

const noBytes = new Uint8Array(0);

/** A CRC-32 over the columns beside a record, if there are some, and the record. */
export function checksum(bytes: Uint8Array, keys?: readonly (string | number | null)[]): number {
  const crc = keys === undefined ? 0 : crc32(JSON.stringify(keys));
  return bytes.length === 0 ? crc : crc32(bytes, crc); // on Node 22 nothing at all may make it 0
}

/** Whether the file is a book that this deye knows; 0 is a new one. Throws a BookError. */
export function versionOf(db: DatabaseSync, path: string): number {
  const version = Number(db.prepare('PRAGMA user_version').get()!.user_version);
  const application = Number(db.prepare('PRAGMA application_id').get()!.application_id);
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()!.n);
  if (application !== applicationId && (application !== 0 || tables > 0))
    throw new BookError('book_foreign', `${path} is an SQLite file of another program. Move it away.`);
  if (version > migrations.length)
    throw new BookError(
      'book_newer',
      `The book ${path} has version ${version}; this deye knows up to ${migrations.length}. Start the newer deye that wrote it.`,
    );
  return version;
}

/** Of a batch. */
export type Point = Pick<BookPosition, 'sequence' | 'crc'>;

/** What is counted of the book. */
export interface BookTotals {
  tasks: number;
  /** When the latest task ended; -1 for none. */
  endedMs: number;
}

interface Standing {
  readonly position: BookPosition;
  readonly totals: BookTotals;
  /** Where the main file stood when this was written to the write-ahead file. */
  readonly saved: Point;
}

/** Where the book stands; undefined when it is new. Throws a BookError. */
export function standingIn(db: DatabaseSync, path: string): Standing | undefined {
  const row = db.prepare('SELECT * FROM position').get();
  if (row === undefined) return undefined;
  const { one: _, row_crc, ...columns } = row;
  const values = Object.values(columns) as [string, number, number, number, number, number, number, number];
  if (checksum(noBytes, values) !== row_crc) throw damagedBook(path, 'where it stands');
  const [storeId, epoch, sequence, crc, tasks, endedMs, savedSequence, savedCrc] = values;
  return {
    position: { storeId, epoch, sequence, crc },
    totals: { tasks, endedMs },
    saved: { sequence: savedSequence, crc: savedCrc },
  };
}

export const positionIn = (db: DatabaseSync, path: string): BookPosition | undefined => standingIn(db, path)?.position;

/** The row of the table: its columns in their order, and its checksum. */
export function standingRow({ position, totals, saved }: Standing): (string | number)[] {
  const { storeId, epoch, sequence, crc } = position;
  const values = [storeId, epoch, sequence, crc, totals.tasks, totals.endedMs, saved.sequence, saved.crc];
  return [1, ...values, checksum(noBytes, values)];
}

/**
 * Opens or creates the book at `path`. Nobody waits for it to be synced, since the journal keeps what it may lose: with
 * synchronous=NORMAL a crash takes transactions from its end at most, and never leaves one in part. Nor is all of it
 * read at the start: every row is checked when it is read. A key of an index that has changed hides its row from reads by
 * that key; only SQLite's whole check finds that, which takes 5 s for a million rows and is left to verify. (Counts of the
 * indexes and the table take 0.1 s each, and do not see it.)
 */
export function openBook(path: string): DatabaseSync {
  if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600)); // closed to others from its first instant
  const db = new DatabaseSync(path);
  try {
    prepareBook(path, db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Makes sure that it is a book, of this version, and sets what a connection needs. */
function prepareBook(path: string, db: DatabaseSync): void {
  db.exec(`PRAGMA busy_timeout = ${busyMs}`);
  const version = versionOf(db, path);
  if (version === 0) db.exec('PRAGMA auto_vacuum = INCREMENTAL');
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 0',
  );
  for (let from = version; from < migrations.length; from++)
    db.exec(
      `BEGIN IMMEDIATE; ${migrations[from]} PRAGMA user_version = ${from + 1}; PRAGMA application_id = ${applicationId}; COMMIT`,
    );
  if (!hasOwnTables(db)) throw damagedBook(path, 'its tables are not those of a book');
}

/** Whether its tables and indexes are, to the letter, those that this deye makes. */
export const hasOwnTables = (db: DatabaseSync): boolean => tablesOf(db) === ownTables();

/** The text of every table and index. */
const tablesOf = (db: DatabaseSync): string =>
  JSON.stringify(db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all());

function ownTables(): string {
  const db = new DatabaseSync(':memory:');
  for (const migration of migrations) db.exec(migration);
  const tables = tablesOf(db);
  db.close();
  return tables;
}
