/** The book on SQLite, synchronous; a thread of its own runs it, so that nothing here holds up the loop. */
import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { present } from '../core/body.ts';
import { Reader, Writer } from '../core/bytes.ts';
import type { AttemptRecord, RecordOf, StoredTask } from '../core/record.ts';
import { readRecord, writeRecord } from '../core/record-bytes.ts';
import { endedStates, isEnded, type TaskState } from '../protocol/state.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import { type BookError, explainBook } from './error.ts';
import { OpenFiles } from './open-files.ts';
import type { BookPosition, BookSize, EndedFilter, EndedTask, Expiry, Newest } from './port.ts';
import { attemptOf, bodyOf, type Row, taskOf } from './row.ts';
import { checksum, openBook, positionIn } from './schema.ts';

const noBytes = new Uint8Array(0);
/** That are given back at once: a few milliseconds. */
const pagesAtOnce = 1024;

export class SqliteBook {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #files: OpenFiles;
  readonly #writer = new Writer();
  readonly #insert: ReturnType<typeof statements>;

  /** Opens or creates the book at `path`. Throws a BookError. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#db = openBook(path);
      this.#insert = statements(this.#db);
      this.#files = new OpenFiles([path, `${path}-wal`]);
    } catch (error) {
      throw explainBook(path, error);
    }
  }

  open(): BookPosition | undefined {
    return positionIn(this.#db);
  }

  apply(records: Uint8Array, { storeId, epoch, sequence, crc }: BookPosition): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const reader = new Reader(records); !reader.done; ) this.#enter(readRecord(reader));
      this.#insert.position.run(storeId, epoch, sequence, crc);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  checkpoint(): BookPosition | undefined {
    const { busy } = this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()!;
    return busy === 0 ? this.open() : undefined; // another program reads the book
  }

  show(id: string): EndedTask | undefined {
    const row = this.#db.prepare('SELECT * FROM task WHERE id = ?').get(id);
    if (row === undefined) return undefined;
    const task = this.#task(row);
    const [payload, result] = [this.#body(task.seq, 'payload'), this.#body(task.seq, 'result')];
    return { ...task, spec: { ...task.spec, payload: payload ?? noBytes }, attempts: this.attempts(task.seq), result };
  }

  attempts(seq: number): AttemptRecord[] {
    return this.#db
      .prepare('SELECT * FROM attempt WHERE seq = ? ORDER BY attempt')
      .all(seq)
      .map((row) => {
        const { kind: _, seq: __, ...attempt } = attemptOf(this.#path, row);
        return attempt;
      });
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

  list({ states, operation, collectorId, beforeSeq, limit }: EndedFilter): StoredTask[] {
    const wanted: (readonly [string, readonly (string | number)[]])[] = [];
    if (states.length > 0) wanted.push([`state IN (${states.map(() => '?').join(', ')})`, states]);
    if (operation !== undefined) wanted.push(['operation = ?', [operation]]);
    if (collectorId !== undefined) wanted.push(['collector = ?', [collectorId]]);
    if (beforeSeq !== undefined) wanted.push(['seq < ?', [beforeSeq]]);
    const where = wanted.length === 0 ? '' : `WHERE ${wanted.map(([sql]) => sql).join(' AND ')}`;
    return this.#db
      .prepare(`SELECT * FROM task ${where} ORDER BY seq DESC LIMIT ?`)
      .all(...wanted.flatMap(([, values]) => values), limit)
      .map((row) => this.#task(row));
  }

  expired({ beforeMs, deadLettersBeforeMs, limit }: Expiry): number[] {
    const found: number[] = [];
    const old = this.#db.prepare('SELECT seq FROM task WHERE state = ? AND ended_ms < ? ORDER BY ended_ms LIMIT ?');
    for (const state of endedStates) {
      const before = state === 'dead_letter' ? deadLettersBeforeMs : beforeMs;
      for (const { seq } of old.iterate(state, before, limit - found.length)) found.push(Number(seq));
    }
    return found;
  }

  newest(wallMs: number, idsAheadMax: number): Newest {
    const ahead = uuidFirst(wallMs + 1);
    const { id } = this.#db.prepare('SELECT max(id) AS id FROM task WHERE id < ?').get(ahead)!;
    const idsAhead = this.#db
      .prepare('SELECT id FROM task WHERE id >= ? ORDER BY id DESC LIMIT ?')
      .all(ahead, idsAheadMax);
    // State by state, since an index of states and times makes each of these one step.
    const latest = this.#db.prepare('SELECT max(ended_ms) AS at FROM task WHERE state = ?');
    const endedAtMs = Math.max(...endedStates.map((state) => Number(latest.get(state)!.at ?? -1)));
    return {
      id: id === null ? undefined : String(id),
      idsAhead: idsAhead.map((row) => String(row.id)),
      endedAtMs: endedAtMs < 0 ? undefined : endedAtMs,
      seq: Number(this.#db.prepare('SELECT max(seq) AS seq FROM task').get()!.seq ?? 0),
    };
  }

  size(): BookSize {
    const bytes = [this.#path, `${this.#path}-wal`]
      .map((file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size, 0);
    return { bytes, tasks: Number(this.#db.prepare('SELECT count(*) AS count FROM task').get()!.count) };
  }

  giveBack(): boolean {
    const free = Number(this.#db.prepare('PRAGMA freelist_count').get()!.freelist_count);
    if (free > 0) this.#db.exec(`PRAGMA incremental_vacuum(${pagesAtOnce})`);
    return free > pagesAtOnce;
  }

  check(): void {
    this.#files.check();
  }

  copyTo(path: string): void {
    this.#db.prepare('VACUUM INTO ?').run(path);
  }

  close(): void {
    this.#db.close();
  }

  explain(error: unknown): BookError {
    return explainBook(this.#path, error);
  }

  #enter(record: ReturnType<typeof readRecord>): void {
    switch (record.kind) {
      case 'task':
        this.#remove(record.seq);
        if (isEnded(record.state)) this.#enterTask(record);
        return;
      case 'moved':
        if (record.result !== undefined) this.#enterBody(record.seq, 'result', record.result);
        return;
      case 'attempt': {
        const bytes = this.#bytesOf(record);
        this.#insert.attempt.run(record.seq, record.attempt, bytes, checksum(bytes));
        return;
      }
      case 'purged':
        for (const seq of record.seqs) {
          this.#remove(seq);
          this.#insert.removeAttempts.run(seq);
        }
        return;
      default:
        throw new Error(`a ${record.kind} is nothing for the book`);
    }
  }

  #enterTask(record: RecordOf<'task'>): void {
    const { seq, spec, state, atMs, collectorId } = record;
    const bytes = this.#bytesOf({ ...record, spec: { ...spec, payload: noBytes } });
    const keys = [seq, spec.namespace, spec.id, spec.operation, collectorId ?? null, state, atMs] as const;
    this.#insert.task.run(...keys, bytes, checksum(bytes, keys));
    this.#enterBody(seq, 'payload', present(spec.payload));
  }

  #enterBody(seq: number, kind: string, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#insert.body.run(seq, kind, bytes, checksum(bytes));
  }

  /** The attempts of a task that lives again stay: they are its history. */
  #remove(seq: number): void {
    this.#insert.removeTask.run(seq);
    this.#insert.removeBodies.run(seq);
  }

  #bytesOf(record: RecordOf<'task'> | RecordOf<'attempt'>): Uint8Array {
    this.#writer.clear();
    writeRecord(this.#writer, record);
    return this.#writer.written;
  }

  #task(row: Row): StoredTask {
    const { kind: _, ...task } = taskOf(this.#path, row);
    return task;
  }

  #body(seq: number, kind: string): Uint8Array | undefined {
    const row = this.#db.prepare('SELECT * FROM body WHERE seq = ? AND kind = ?').get(seq, kind);
    return row === undefined ? undefined : bodyOf(this.#path, row);
  }
}

const statements = (db: DatabaseSync) => ({
  task: db.prepare('INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
  body: db.prepare('INSERT OR REPLACE INTO body VALUES (?, ?, ?, ?)'),
  attempt: db.prepare('INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?)'),
  removeTask: db.prepare('DELETE FROM task WHERE seq = ?'),
  removeBodies: db.prepare('DELETE FROM body WHERE seq = ?'),
  removeAttempts: db.prepare('DELETE FROM attempt WHERE seq = ?'),
  position: db.prepare('INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?)'),
});
