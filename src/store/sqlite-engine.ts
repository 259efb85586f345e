/**
 * The SQLite engine, synchronous; `sqlite-worker.ts` runs it in a thread of its own and `sqlite.ts` is its port.
 *
 * WAL with synchronous=FULL: a commit has been through fdatasync when it returns. One transaction per commit. Each
 * task keeps a CRC-32 of what was submitted, checked whenever it is read, so a flipped bit is reported, never served.
 */
import { chmodSync, existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { StoredTask, StoreRecord, TaskError, TaskSpec, TaskState } from '../core/task.ts';
import { decodeValue, encodeValue } from '../protocol/msgpack.ts';
import { type Loaded, type StoredAttempt, type StoredDetail, StoreError, type TaskFilter } from './port.ts';

/** "deye" in ASCII: marks the file as ours. */
const applicationId = 0x64657965;

/** One entry per version; entry n brings a store from version n to n + 1. Never edit one that was released. */
const migrations: readonly string[] = [
  `CREATE TABLE task (
     seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, operation TEXT NOT NULL, priority INTEGER NOT NULL,
     spec BLOB NOT NULL, crc INTEGER NOT NULL, submitted_at_ms REAL NOT NULL,
     state TEXT NOT NULL, attempt INTEGER NOT NULL, at_ms REAL NOT NULL,
     collector TEXT, ready_at_ms REAL, error BLOB, excluded TEXT) STRICT;
   CREATE INDEX task_live ON task (seq) WHERE state IN ('pending', 'in_progress', 'retrying');
   CREATE INDEX task_state ON task (state, seq);
   CREATE TABLE payload (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
   CREATE TABLE result (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
   CREATE TABLE attempt (
     seq INTEGER NOT NULL, attempt INTEGER NOT NULL, collector TEXT NOT NULL, started_at_ms REAL NOT NULL,
     ended_at_ms REAL NOT NULL, outcome TEXT NOT NULL, error BLOB, PRIMARY KEY (seq, attempt)) STRICT, WITHOUT ROWID;
   CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
];

const emptyBytes = new Uint8Array(0);

interface TaskRow {
  seq: number;
  id: string;
  operation: string;
  priority: number;
  spec: Uint8Array;
  crc: number;
  submitted_at_ms: number;
  state: string;
  attempt: number;
  at_ms: number;
  collector: string | null;
  ready_at_ms: number | null;
  error: Uint8Array | null;
  excluded: string | null;
  payload: Uint8Array | null;
}

export class SqliteEngine {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements: Record<
    'submit' | 'payload' | 'move' | 'result' | 'attempt' | 'setting' | 'begin' | 'commit',
    StatementSync
  >;

  /** Opens or creates the store at `path`. Throws a StoreError. */
  constructor(path: string) {
    this.#path = path;
    const fresh = !existsSync(path);
    try {
      this.#db = new DatabaseSync(path);
      if (fresh) chmodSync(path, 0o600);
      this.#open();
      this.#statements = this.#prepare();
    } catch (error) {
      throw this.explain(error);
    }
  }

  load(): Loaded {
    const tasks: StoredTask[] = [];
    const rows = this.#db
      .prepare(
        `SELECT task.*, payload.body AS payload FROM task LEFT JOIN payload USING (seq) WHERE state IN ('pending', 'in_progress', 'retrying') ORDER BY seq`,
      )
      .iterate();
    for (const row of rows) tasks.push(this.#task(row as unknown as TaskRow, true));
    const settings = new Map(
      this.#db
        .prepare('SELECT key, value FROM setting')
        .all()
        .map(({ key, value }) => [String(key), String(value)]),
    );
    const highest = this.#db
      .prepare(
        `SELECT max(coalesce((SELECT max(seq) FROM task), 0), coalesce((SELECT value FROM counter WHERE name = 'seq'), 0)) AS seq`,
      )
      .get()!;
    const newest = this.#db.prepare('SELECT max(id) AS id FROM task').get()!.id as string | null;
    return { tasks, settings, nextSeq: Number(highest.seq) + 1, newestId: newest ?? undefined };
  }

  commit(records: readonly StoreRecord[]): void {
    this.#statements.begin.run();
    try {
      for (const record of records) this.#apply(record);
      this.#statements.commit.run();
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  show(id: string): StoredDetail | undefined {
    const row = this.#db
      .prepare('SELECT task.*, payload.body AS payload FROM task LEFT JOIN payload USING (seq) WHERE id = ?')
      .get(id);
    if (row === undefined) return undefined;
    const task = this.#task(row as unknown as TaskRow, true);
    const result = this.#db.prepare('SELECT body, crc FROM result WHERE seq = ?').get(task.seq);
    if (result !== undefined && crc32(result.body as Uint8Array) !== result.crc)
      throw this.#corrupt(`the result of task ${id}`);
    const attempts: StoredAttempt[] = this.#db
      .prepare('SELECT * FROM attempt WHERE seq = ? ORDER BY attempt')
      .all(task.seq)
      .map((each) => ({
        attempt: Number(each.attempt),
        collectorId: String(each.collector),
        startedAtMs: Number(each.started_at_ms),
        endedAtMs: Number(each.ended_at_ms),
        outcome: String(each.outcome) as StoredAttempt['outcome'],
        error: readError(each.error as Uint8Array | null),
      }));
    return { ...task, attempts, result: result?.body as Uint8Array | undefined };
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
      .prepare(
        `SELECT *, NULL AS payload FROM task ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''} ORDER BY seq DESC LIMIT ?`,
      )
      .all(...values, filter.limit);
    return rows.map((row) => this.#task(row as unknown as TaskRow, false));
  }

  close(): void {
    this.#db.close();
  }

  /** Any error as a StoreError that says what to do. */
  explain(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    const { errcode = 0, message } = error as { errcode?: number; message: string };
    const primary = errcode & 0xff;
    if (primary === 11 || primary === 26) return this.#corrupt(message, error);
    if (primary === 13)
      return new StoreError('store_full', `The disk under ${this.#path} is full. Free some space and start again.`, {
        cause: error,
      });
    if (primary === 14 || primary === 8 || primary === 23 || primary === 3)
      return new StoreError(
        'store_unavailable',
        `The store ${this.#path} cannot be opened for writing: ${message}. Check that its directory exists and is yours.`,
        { cause: error },
      );
    return new StoreError('store_failed', `The store ${this.#path} failed: ${message}.`, { cause: error });
  }

  #open(): void {
    const db = this.#db;
    db.exec('PRAGMA busy_timeout = 2000');
    const version = Number(db.prepare('PRAGMA user_version').get()!.user_version);
    const application = Number(db.prepare('PRAGMA application_id').get()!.application_id);
    const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()!.n);
    if (application !== applicationId && (application !== 0 || tables > 0))
      throw new StoreError(
        'store_foreign',
        `${this.#path} is an SQLite file of another program. Move it away, or choose another state directory.`,
      );
    if (version > migrations.length)
      throw new StoreError(
        'store_newer',
        `The store ${this.#path} has version ${version}; this deye knows up to ${migrations.length}. Start the newer deye that wrote it.`,
      );
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000',
    );
    if (tables > 0) {
      const check = String(db.prepare('PRAGMA quick_check(1)').get()!.quick_check);
      if (check !== 'ok') throw this.#corrupt(check);
    }
    for (let from = version; from < migrations.length; from++) {
      db.exec(
        `BEGIN IMMEDIATE; ${migrations[from]} PRAGMA user_version = ${from + 1}; PRAGMA application_id = ${applicationId}; COMMIT;`,
      );
    }
  }

  #prepare() {
    const db = this.#db;
    return {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      submit: db.prepare(
        `INSERT INTO task (seq, id, operation, priority, spec, crc, submitted_at_ms, state, attempt, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?)`,
      ),
      payload: db.prepare('INSERT INTO payload (seq, body) VALUES (?, ?)'),
      move: db.prepare(
        'UPDATE task SET state = ?, attempt = ?, at_ms = ?, collector = coalesce(?, collector), ready_at_ms = ?, error = ?, excluded = ? WHERE seq = ?',
      ),
      result: db.prepare('INSERT INTO result (seq, body, crc) VALUES (?, ?, ?)'),
      attempt: db.prepare(
        'INSERT INTO attempt (seq, attempt, collector, started_at_ms, ended_at_ms, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ),
      setting: db.prepare(
        'INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      ),
    };
  }

  #apply(record: StoreRecord): void {
    const run = this.#statements;
    switch (record.kind) {
      case 'submitted': {
        const { payload, id, operation, priority, ...rest } = record.spec;
        const spec = encodeValue(rest);
        run.submit.run(
          record.seq,
          id,
          operation,
          priority,
          spec,
          checksum(id, spec, payload),
          record.submittedAtMs,
          record.submittedAtMs,
        );
        run.payload.run(record.seq, payload);
        return;
      }
      case 'moved': {
        const error = record.error === undefined ? null : encodeValue(record.error);
        const excluded = record.excluded.length === 0 ? null : JSON.stringify(record.excluded);
        run.move.run(
          record.state,
          record.attempt,
          record.atMs,
          record.collectorId ?? null,
          record.readyAtMs ?? null,
          error,
          excluded,
          record.seq,
        );
        if (record.result !== undefined) run.result.run(record.seq, record.result, crc32(record.result));
        return;
      }
      case 'attempt':
        run.attempt.run(
          record.seq,
          record.attempt,
          record.collectorId,
          record.startedAtMs,
          record.endedAtMs,
          record.outcome,
          record.error === undefined ? null : encodeValue(record.error),
        );
        return;
      case 'setting':
        run.setting.run(record.key, record.value);
        return;
      case 'purge':
        this.#forget(record.endedBeforeMs);
    }
  }

  /** Deletes ended tasks, and keeps the highest seq so that none is ever used twice. */
  #forget(beforeMs: number): void {
    const db = this.#db;
    db.exec(
      `INSERT INTO counter (name, value) SELECT 'seq', coalesce(max(seq), 0) FROM task WHERE true ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`,
    );
    const old = `SELECT seq FROM task WHERE state IN ('completed', 'cancelled') AND at_ms < ?`;
    for (const table of ['payload', 'result', 'attempt'])
      db.prepare(`DELETE FROM ${table} WHERE seq IN (${old})`).run(beforeMs);
    db.prepare(`DELETE FROM task WHERE seq IN (${old})`).run(beforeMs);
  }

  #task(row: TaskRow, withPayload: boolean): StoredTask {
    const payload = row.payload ?? emptyBytes;
    if (withPayload && (row.payload === null || checksum(row.id, row.spec, payload) !== row.crc))
      throw this.#corrupt(`task ${row.id}`);
    const rest = decodeValue(Buffer.from(row.spec.buffer, row.spec.byteOffset, row.spec.byteLength)) as Omit<
      TaskSpec,
      'payload' | 'id' | 'operation' | 'priority'
    >;
    const spec: TaskSpec = {
      ...rest,
      collectorType: rest.collectorType ?? undefined,
      collectorId: rest.collectorId ?? undefined,
      id: row.id,
      operation: row.operation,
      priority: row.priority,
      payload,
    };
    return {
      seq: row.seq,
      spec,
      submittedAtMs: row.submitted_at_ms,
      state: row.state as TaskState,
      attempt: row.attempt,
      atMs: row.at_ms,
      collectorId: row.collector ?? undefined,
      readyAtMs: row.ready_at_ms ?? undefined,
      error: readError(row.error),
      excluded: row.excluded === null ? [] : (JSON.parse(row.excluded) as string[]),
    };
  }

  #corrupt(what: string, cause?: unknown): StoreError {
    return new StoreError(
      'store_corrupt',
      `The store ${this.#path} is damaged (${what}). It was not changed. Restore a copy, or move it away to start with an empty one.`,
      { cause },
    );
  }
}

const checksum = (id: string, spec: Uint8Array, payload: Uint8Array): number => crc32(payload, crc32(spec, crc32(id)));

function readError(bytes: Uint8Array | null): TaskError | undefined {
  return bytes === null
    ? undefined
    : (decodeValue(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) as TaskError);
}
