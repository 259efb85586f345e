/**
 * The SQLite engine, synchronous; `sqlite-worker.ts` runs it in a thread of its own and `sqlite.ts` is its port.
 *
 * WAL with synchronous=FULL: a commit has been through fdatasync when it returns. One transaction per commit. Each
 * row keeps a CRC-32 of its columns, checked whenever it is read, so a flipped bit is reported, never served.
 */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { Expiry } from '../book/port.ts';
import type { Expired } from '../core/expire.ts';
import type { StoredTask, StoreRecord } from '../core/record.ts';
import { liveStates, type TaskState, taskStates } from '../protocol/state.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import type { Loaded, LoadOptions, StoredDetail, StoreError, TaskFilter } from './port.ts';
import { damaged, explainSqlite } from './sqlite-error.ts';
import { OpenFiles } from './sqlite-files.ts';
import { openDatabase } from './sqlite-open.ts';
import { expiredRows } from './sqlite-purge.ts';
import { attemptOf, isSound, rowChecksum, type Table, taskOf } from './sqlite-row.ts';
import { recordWriter } from './sqlite-write.ts';

const quoted = (states: readonly TaskState[]): string => states.map((state) => `'${state}'`).join(', ');

type Row = Record<string, SQLOutputValue>;

const withPayload =
  'SELECT task.*, payload.body AS payload, payload.crc AS payload_crc FROM task LEFT JOIN payload USING (seq)';
const noBytes = new Uint8Array(0);

export class SqliteEngine {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #files: OpenFiles;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #write: (record: StoreRecord) => void;

  /** Opens or creates the store at `path`. Throws a StoreError. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#db = openDatabase(path);
      this.#files = new OpenFiles(path);
      this.#begin = this.#db.prepare('BEGIN IMMEDIATE');
      this.#commit = this.#db.prepare('COMMIT');
      this.#write = recordWriter(this.#db);
    } catch (error) {
      throw this.explain(error);
    }
  }

  load({ wallMs, idsAheadMax }: LoadOptions): Loaded {
    const db = this.#db;
    const live = db.prepare(`${withPayload} WHERE state IN (${quoted(liveStates)}) ORDER BY seq`).iterate();
    const tasks: StoredTask[] = [];
    for (const row of live) tasks.push(this.#task(row, true));
    // One whose state was changed to none would be missing among the others.
    const stateless = db.prepare(`SELECT id FROM task WHERE state NOT IN (${quoted(taskStates)}) LIMIT 1`).get();
    if (stateless !== undefined) throw this.#corrupt(`task ${stateless.id}`);
    for (const row of db.prepare('SELECT * FROM counter').iterate()) this.#check('counter', row, `counter ${row.name}`);
    // State by state, since an index of states and times makes each of these one step.
    const newestOf = db.prepare('SELECT max(at_ms) AS at FROM task WHERE state = ?');
    const newestAtMs = Math.max(...taskStates.map((state) => (newestOf.get(state)!.at as number | null) ?? -1));
    const settings = new Map<string, string>();
    for (const row of db.prepare('SELECT * FROM setting').iterate()) {
      this.#check('setting', row, `setting ${row.key}`);
      settings.set(String(row.key), String(row.value));
    }
    const { seq } = db
      .prepare(
        `SELECT max(coalesce((SELECT max(seq) FROM task), 0), coalesce((SELECT value FROM counter WHERE name = 'seq'), 0)) AS seq`,
      )
      .get()!;
    const ahead = uuidFirst(wallMs + 1);
    const idsAhead = db
      .prepare('SELECT id FROM task WHERE id >= ? ORDER BY id DESC LIMIT ?')
      .all(ahead, idsAheadMax + 1)
      .map(({ id }) => String(id));
    const past = db.prepare('SELECT max(id) AS id FROM task WHERE id < ?').get(ahead)!.id as string | null;
    const isOneByOne = idsAhead.length <= idsAheadMax;
    const { epoch } = db
      .prepare(
        `INSERT INTO counter (name, value, crc) VALUES ('epoch', 1, row_crc('epoch', 1))
         ON CONFLICT (name) DO UPDATE SET value = value + 1, crc = row_crc(name, value + 1) RETURNING value AS epoch`,
      )
      .get()!;
    return {
      epoch: Number(epoch),
      newestAtMs: newestAtMs < 0 ? undefined : newestAtMs,
      tasks,
      settings,
      nextSeq: Number(seq) + 1,
      expiredBeforeMs: Number(db.prepare(`SELECT value FROM counter WHERE name = 'expired'`).get()?.value ?? 0),
      newestId: (isOneByOne ? past : idsAhead[0]) ?? undefined,
      idsAhead: isOneByOne ? idsAhead : [],
    };
  }

  commit(records: readonly StoreRecord[]): void {
    this.#transaction(() => {
      for (const record of records) this.#write(record);
    });
    this.#files.check(this.#db);
  }

  show(id: string): StoredDetail | undefined {
    const row = this.#db.prepare(`${withPayload} WHERE id = ?`).get(id);
    if (row === undefined) return undefined;
    const task = this.#task(row, true);
    const result = this.#db.prepare('SELECT * FROM result WHERE seq = ?').get(task.seq);
    if (result !== undefined) this.#check('result', result, `the result of task ${id}`);
    const attempts = this.#db.prepare('SELECT * FROM attempt WHERE seq = ? ORDER BY attempt').all(task.seq);
    for (const each of attempts) this.#check('attempt', each, `attempt ${each.attempt} of task ${id}`);
    return { ...task, attempts: attempts.map(attemptOf), result: result?.body as Uint8Array | undefined };
  }

  states(ids: readonly string[]): Map<string, TaskState> {
    const one = this.#db.prepare('SELECT state FROM task WHERE id = ?');
    const found = new Map<string, TaskState>();
    for (const id of ids) {
      const row = one.get(id);
      if (row !== undefined) found.set(id, row.state as TaskState);
    }
    return found;
  }

  list(filter: TaskFilter): StoredTask[] {
    const where: string[] = [];
    const values: (string | number)[] = [];
    if (filter.states.length > 0) {
      where.push(`state IN (${filter.states.map(() => '?').join(', ')})`);
      values.push(...filter.states);
    }
    const equal = (column: string, value: string | undefined) => {
      if (value === undefined) return;
      where.push(`${column} = ?`);
      values.push(value);
    };
    equal('operation', filter.operation);
    equal('collector', filter.collectorId);
    if (filter.beforeSeq !== undefined) {
      where.push('seq < ?');
      values.push(filter.beforeSeq);
    }
    const rows = this.#db
      .prepare(`SELECT * FROM task ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''} ORDER BY seq DESC LIMIT ?`)
      .all(...values, filter.limit);
    return rows.map((row) => this.#task(row, false));
  }

  expired(expiry: Expiry): Expired {
    return expiredRows(this.#db, expiry);
  }

  check(): void {
    this.#files.check(this.#db);
  }

  /** Files that were lost without notice are saved, and the loss is reported. */
  close(): void {
    try {
      if (!this.#files.lost) this.check();
    } finally {
      this.#db.close();
    }
  }

  /** Any error as a StoreError that says what to do. */
  explain(error: unknown): StoreError {
    return explainSqlite(this.#path, error);
  }

  /** Whole or not at all. */
  #transaction<T>(work: () => T): T {
    this.#begin.run();
    try {
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #task(row: Row, hasPayload: boolean): StoredTask {
    this.#check('task', row, `task ${row.id}`);
    if (!hasPayload) return taskOf(row, noBytes);
    const { seq, payload, payload_crc } = row;
    if (payload === null || rowChecksum(seq!, payload!) !== payload_crc) throw this.#corrupt(`task ${row.id}`);
    return taskOf(row, payload as Uint8Array);
  }

  #check(table: Table, row: Row, what: string): void {
    if (!isSound(table, row)) throw this.#corrupt(what);
  }

  #corrupt(what: string): StoreError {
    return damaged(this.#path, what);
  }
}
