/** Opening deye.db: whether it is ours and sound, and bringing an older version of it to the last. */
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { StoreError } from '../store/port.ts';
import { damaged } from './old-error.ts';
import { defineRowChecksum } from './old-row.ts';
import { applicationId, migrations } from './old-schema.ts';

/** Opens or creates the store at `path`. Throws a StoreError or an error of SQLite. */
export function openDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA busy_timeout = 2000');
  const version = Number(db.prepare('PRAGMA user_version').get()!.user_version);
  const application = Number(db.prepare('PRAGMA application_id').get()!.application_id);
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()!.n);
  if (application !== applicationId && (application !== 0 || tables > 0))
    throw new StoreError(
      'store_foreign',
      `${path} is an SQLite file of another program. Move it away, or choose another state directory.`,
    );
  if (version > migrations.length)
    throw new StoreError(
      'store_newer',
      `The store ${path} has version ${version}; this deye knows up to ${migrations.length}. Start the newer deye that wrote it.`,
    );
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000',
  );
  if (tables > 0) {
    const check = String(db.prepare('PRAGMA quick_check(1)').get()!.quick_check);
    if (check !== 'ok') throw damaged(path, check);
  }
  defineRowChecksum(db);
  for (let from = version; from < migrations.length; from++) migrate(db, path, from);
  return db;
}

/** Whole or not at all, also when the process is killed. */
function migrate(db: DatabaseSync, path: string, from: number): void {
  const { damaged: damagedSql, sql } = migrations[from]!;
  db.exec('BEGIN IMMEDIATE');
  try {
    if (damagedSql !== undefined) {
      db.function('bytes_crc', { varargs: true }, bytesChecksum);
      const row = db.prepare(damagedSql).get();
      if (row !== undefined) throw damaged(path, String(row.what));
    }
    db.exec(`${sql} PRAGMA user_version = ${from + 1}; PRAGMA application_id = ${applicationId};`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** The checksum of versions 1 and 2: over the bytes of the values. */
const bytesChecksum = (...values: readonly SQLOutputValue[]): number | null =>
  values.includes(null) ? null : values.reduce<number>((crc, value) => crc32(value as string | Uint8Array, crc), 0);
