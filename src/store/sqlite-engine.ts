/**
 * The SQLite engine, synchronous; `sqlite-worker.ts` runs it in a thread of its own and `sqlite.ts` is its port.
 *
 * WAL with synchronous=FULL: a commit has been through fdatasync when it returns. One transaction per commit. Each
 * task keeps a CRC-32 of what was submitted, checked whenever it is read, so a flipped bit is reported, never served.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { AttemptRecord, StoredTask, StoreRecord } from '../core/record.ts';
import { encodeValue } from '../protocol/msgpack.ts';
import { liveStates, type TaskState } from '../protocol/state.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import type { Loaded, PurgeOptions, StoredDetail, StoreError, TaskFilter } from './port.ts';
import { damaged, explainSqlite } from './sqlite-error.ts';
import { OpenFiles } from './sqlite-files.ts';
import { openDatabase } from './sqlite-open.ts';
import { purgeRows } from './sqlite-purge.ts';
import { checksum, readError, type TaskRow, taskOf } from './sqlite-row.ts';

const quoted = (states: readonly TaskState[]): string => states.map((state) => `'${state}'`).join(', ');

/** So many ids from ahead of the clock are told one by one; more are not remembered one by one anyway. */
const idsAheadMax = 10_001;

export class SqliteEngine {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #files: OpenFiles;
  readonly #statements: Record<
    'submit' | 'payload' | 'move' | 'result' | 'attempt' | 'setting' | 'begin' | 'commit',
    StatementSync
  >;

  /** Opens or creates the store at `path`. Throws a StoreError. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#db = openDatabase(path);
      this.#files = new OpenFiles(path);
      this.#statements = this.#prepare();
    } catch (error) {
      throw this.explain(error);
    }
  }

  load(wallMs: number): Loaded {
    const db = this.#db;
    const tasks: StoredTask[] = [];
    const rows = db
      .prepare(
        `SELECT task.*, payload.body AS payload FROM task LEFT JOIN payload USING (seq) WHERE state IN (${quoted(liveStates)}) ORDER BY seq`,
      )
      .iterate();
    for (const row of rows) tasks.push(this.#task(row as unknown as TaskRow, true));
    const settings = new Map(
      db
        .prepare('SELECT key, value FROM setting')
        .all()
        .map(({ key, value }) => [String(key), String(value)]),
    );
    const { seq } = db
      .prepare(
        `SELECT max(coalesce((SELECT max(seq) FROM task), 0), coalesce((SELECT value FROM counter WHERE name = 'seq'), 0)) AS seq`,
      )
      .get()!;
    const ahead = uuidFirst(wallMs + 1);
    const newest = db.prepare('SELECT max(id) AS id FROM task WHERE id < ?').get(ahead)!.id as string | null;
    const idsAhead = db
      .prepare('SELECT id FROM task WHERE id >= ? LIMIT ?')
      .all(ahead, idsAheadMax)
      .map(({ id }) => String(id));
    const { epoch } = db
      .prepare(
        `INSERT INTO counter (name, value) VALUES ('epoch', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value AS epoch`,
      )
      .get()!;
    return {
      epoch: Number(epoch),
      tasks,
      settings,
      nextSeq: Number(seq) + 1,
      newestId: newest ?? undefined,
      idsAhead,
    };
  }

  commit(records: readonly StoreRecord[]): void {
    this.#transaction(() => {
      for (const record of records) this.#apply(record);
    });
    this.#files.check(this.#db);
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
    const attempts: AttemptRecord[] = this.#db
      .prepare('SELECT * FROM attempt WHERE seq = ? ORDER BY attempt')
      .all(task.seq)
      .map((each) => ({
        attempt: Number(each.attempt),
        collectorId: String(each.collector),
        startedAtMs: Number(each.started_ms),
        endedAtMs: Number(each.ended_ms),
        outcome: String(each.outcome) as AttemptRecord['outcome'],
        error: readError(each.error as Uint8Array | null),
      }));
    return { ...task, attempts, result: result?.body as Uint8Array | undefined };
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
      .prepare(
        `SELECT *, NULL AS payload FROM task ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''} ORDER BY seq DESC LIMIT ?`,
      )
      .all(...values, filter.limit);
    return rows.map((row) => this.#task(row as unknown as TaskRow, false));
  }

  purge(options: PurgeOptions): number {
    return this.#transaction(() => purgeRows(this.#db, options));
  }

  check(): void {
    this.#files.check(this.#db);
  }

  /** What was not noticed before is still saved, and then told. */
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

  #prepare() {
    const db = this.#db;
    return {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      submit: db.prepare(
        `INSERT INTO task (seq, namespace, id, operation, priority, spec, crc, submitted_ms, state, attempt, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?)`,
      ),
      payload: db.prepare('INSERT INTO payload (seq, body) VALUES (?, ?)'),
      move: db.prepare(
        'UPDATE task SET state = ?, attempt = ?, token = ?, at_ms = ?, collector = coalesce(?, collector), ready_ms = ?, delay_ms = ?, error = ?, excluded = ? WHERE seq = ?',
      ),
      result: db.prepare('INSERT INTO result (seq, body, crc) VALUES (?, ?, ?)'),
      attempt: db.prepare(
        'INSERT INTO attempt (seq, attempt, collector, started_ms, ended_ms, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ),
      setting: db.prepare(
        'INSERT INTO setting (namespace, key, value) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      ),
    };
  }

  /** Whole or not at all. */
  #transaction<T>(work: () => T): T {
    this.#statements.begin.run();
    try {
      const result = work();
      this.#statements.commit.run();
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #apply(record: StoreRecord): void {
    const run = this.#statements;
    switch (record.kind) {
      case 'submitted': {
        const { payload, namespace, id, operation, priority, ...rest } = record.spec;
        const spec = encodeValue(rest);
        run.submit.run(
          record.seq,
          namespace,
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
          record.token,
          record.atMs,
          record.collectorId ?? null,
          record.readyAtMs ?? null,
          record.delayMs ?? null,
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
        run.setting.run(record.namespace, record.key, record.value);
    }
  }

  #task(row: TaskRow, withPayload: boolean): StoredTask {
    const task = taskOf(row, withPayload);
    if (task === undefined) throw this.#corrupt(`task ${row.id}`);
    return task;
  }

  #corrupt(what: string): StoreError {
    return damaged(this.#path, what);
  }
}
