/** The tables of the book, and opening its file: whether it is ours. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { BookError } from './error.ts';
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
     sequence INTEGER NOT NULL, crc INTEGER NOT NULL, tasks INTEGER NOT NULL, ended_ms INTEGER NOT NULL) STRICT;`,
];

/** A CRC-32 over the columns beside a record, if there are some, and the record. */
export const checksum = (bytes: Uint8Array, keys?: readonly (string | number | null)[]): number =>
  crc32(bytes, keys === undefined ? 0 : crc32(JSON.stringify(keys)));

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

export function positionIn(db: DatabaseSync): BookPosition | undefined {
  const row = db.prepare('SELECT * FROM position').get();
  if (row === undefined) return undefined;
  const { store_id, epoch, sequence, crc } = row;
  return { storeId: String(store_id), epoch: Number(epoch), sequence: Number(sequence), crc: Number(crc) };
}

/**
 * Opens or creates the book at `path`. Nobody waits for it to be synced, since the journal keeps what it may lose: with
 * synchronous=NORMAL a crash takes transactions from its end at most, and never leaves one in part. Nor is all of it
 * read at the start: every row is checked when it is read.
 */
export function openBook(path: string): DatabaseSync {
  if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600)); // closed to others from its first instant
  const db = new DatabaseSync(path);
  db.exec('PRAGMA busy_timeout = 2000');
  const version = versionOf(db, path);
  if (version === 0) db.exec('PRAGMA auto_vacuum = INCREMENTAL');
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 0',
  );
  for (let from = version; from < migrations.length; from++)
    db.exec(
      `BEGIN IMMEDIATE; ${migrations[from]} PRAGMA user_version = ${from + 1}; PRAGMA application_id = ${applicationId}; COMMIT`,
    );
  return db;
}
