/** Records of what has ended, entered as rows, and deleted again. */
import type { DatabaseSync } from 'node:sqlite';
import { present } from '../core/body.ts';
import { Reader, Writer } from '../core/bytes.ts';
import type { RecordOf } from '../core/record.ts';
import { readRecord, writeRecord } from '../core/record-bytes.ts';
import { keptFromMs } from '../core/replay.ts';
import { isEnded } from '../protocol/state.ts';
import { type BookTotals, bodyBytesSql, checksum } from './schema.ts';

const noBytes = new Uint8Array(0);

export class RowWriter {
  readonly #writer = new Writer();
  readonly #insert: ReturnType<typeof statements>;
  /** How many tasks there are, and when the latest of them ended. */
  totals: BookTotals = { tasks: 0, endedMs: -1 };
  /** Of the last `enter`: how long that took, and which part of all of it. */
  deleted = { tasks: 0, bytes: 0, ms: 0, part: 0 };

  constructor(db: DatabaseSync) {
    this.#insert = statements(db);
  }

  /** Inside a transaction; throws what SQLite throws. */
  enter(records: Uint8Array): void {
    const startedMs = performance.now();
    this.deleted = { tasks: 0, bytes: 0, ms: 0, part: 0 };
    for (const reader = new Reader(records); !reader.done; ) this.#enter(readRecord(reader));
    this.deleted.part = this.deleted.ms / (performance.now() - startedMs);
  }

  #enter(record: ReturnType<typeof readRecord>): void {
    switch (record.kind) {
      case 'task':
        this.#remove(record.seq);
        if (isEnded(record.state)) this.#enterTask(record);
        return;
      case 'moved':
        if (record.result !== undefined) this.#enterBody(record, 'result', record.result);
        return;
      case 'attempt': {
        const bytes = this.#bytesOf(record);
        this.#insert.attempt.run(record.seq, record.attempt, bytes, checksum(bytes));
        return;
      }
      case 'purged':
      case 'trimmed':
        this.#delete(record);
        return;
      default:
        throw new Error(`a ${record.kind} is nothing for the book`);
    }
  }

  #enterTask(record: RecordOf<'task'>): void {
    const { seq, spec, state, atMs, collectorId } = record;
    const bytes = this.#bytesOf({ ...record, spec: { ...spec, payload: noBytes } });
    const keys = [
      seq,
      spec.namespace,
      spec.id,
      spec.operation,
      collectorId ?? null,
      state,
      keptFromMs(record),
    ] as const;
    this.#insert.task.run(...keys, bytes, checksum(bytes, keys));
    this.#enterBody(record, 'payload', present(spec.payload));
    this.totals.tasks++;
    this.totals.endedMs = Math.max(this.totals.endedMs, atMs);
  }

  #enterBody({ seq, state }: RecordOf<'task' | 'moved'>, kind: string, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#insert.body.run(state === 'dead_letter' ? 1 : 0, seq, kind, bytes, checksum(bytes));
  }

  #delete({ kind, seqs }: RecordOf<'purged' | 'trimmed'>): void {
    const startedMs = performance.now();
    for (const seq of seqs) {
      this.deleted.bytes += Number(this.#insert.bytesOf.get(seq)!.bytes);
      if (kind === 'trimmed') this.#insert.removeBodies.run(seq);
      else {
        this.#remove(seq);
        this.#insert.removeAttempts.run(seq);
      }
    }
    this.deleted.tasks += seqs.length;
    this.deleted.ms += performance.now() - startedMs;
  }

  /** The attempts of a task that lives again stay: they are its history. */
  #remove(seq: number): void {
    this.totals.tasks -= Number(this.#insert.removeTask.run(seq).changes);
    this.#insert.removeBodies.run(seq);
  }

  #bytesOf(record: RecordOf<'task'> | RecordOf<'attempt'>): Uint8Array {
    this.#writer.clear();
    writeRecord(this.#writer, record);
    return this.#writer.written;
  }
}

const statements = (db: DatabaseSync) => ({
  task: db.prepare('INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
  body: db.prepare('INSERT OR REPLACE INTO body VALUES (?, ?, ?, ?, ?)'),
  attempt: db.prepare('INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?)'),
  bytesOf: db.prepare(bodyBytesSql),
  removeTask: db.prepare('DELETE FROM task WHERE seq = ?'),
  removeBodies: db.prepare('DELETE FROM body WHERE is_last IN (0, 1) AND seq = ?'),
  removeAttempts: db.prepare('DELETE FROM attempt WHERE seq = ?'),
});
