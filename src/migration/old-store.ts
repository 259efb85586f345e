/** The store that was one SQLite file: everything in it, as the records that make the same of an empty store. */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { JournalRecord, StoredTask } from '../core/record.ts';
import type { StoreError } from '../store/port.ts';
import { damaged, explainOld } from './old-error.ts';
import { openDatabase } from './old-open.ts';
import { attemptOf, isSound, type Table, taskOf } from './old-row.ts';

type Row = Record<string, SQLOutputValue>;

export class OldStore implements Disposable {
  readonly #path: string;
  readonly #db: DatabaseSync;

  /** Throws a StoreError when the file cannot be trusted. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#db = openDatabase(path);
    } catch (error) {
      throw explainOld(path, error);
    }
  }

  /** Of its latest start. */
  get epoch(): number {
    return this.#counter('epoch');
  }

  get tasks(): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM task').get()!.n);
  }

  /** Task by task, in order of acceptance; settings and counters last. Throws a StoreError at a damaged row. */
  *records(): Generator<readonly JournalRecord[]> {
    try {
      yield* this.#tasks();
      yield [...this.#settings(), { kind: 'counted', nextSeq: this.#counter('seq') + 1 }];
    } catch (error) {
      throw explainOld(this.#path, error);
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  *#tasks(): Generator<readonly JournalRecord[]> {
    const attempts = this.#db.prepare('SELECT * FROM attempt WHERE seq = ? ORDER BY attempt');
    const results = this.#db.prepare('SELECT * FROM result WHERE seq = ?');
    const rows = this.#db.prepare(
      'SELECT task.*, payload.body AS payload, payload.crc AS payload_crc FROM task LEFT JOIN payload USING (seq) ORDER BY seq',
    );
    for (const row of rows.iterate()) {
      const { seq } = row;
      const what = `task ${row.id}`;
      this.#check('task', row, what);
      this.#check('payload', { seq: seq!, body: row.payload!, crc: row.payload_crc! }, what);
      const result = results.get(seq!);
      if (result !== undefined) this.#check('result', result, `the result of ${what}`);
      const ended = attempts.all(seq!);
      for (const each of ended) this.#check('attempt', each, `attempt ${each.attempt} of ${what}`);
      yield [
        ...recordsOf(taskOf(row, row.payload as Uint8Array), (result?.body ?? undefined) as Uint8Array | undefined),
        ...ended.map((each) => ({ kind: 'attempt', seq: Number(seq), ...attemptOf(each) }) as const),
      ].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    }
  }

  #settings(): JournalRecord[] {
    return this.#db
      .prepare('SELECT * FROM setting')
      .all()
      .map((row) => {
        this.#check('setting', row, `setting ${row.key}`);
        const [namespace, key, value] = [String(row.namespace), String(row.key), String(row.value)];
        return { kind: 'setting', namespace, key, value };
      });
  }

  #counter(name: string): number {
    const row = this.#db.prepare('SELECT * FROM counter WHERE name = ?').get(name);
    if (row === undefined) return 0;
    this.#check('counter', row, `counter ${name}`);
    return Number(row.value);
  }

  #check(table: Table, row: Row, what: string): void {
    if (!isSound(table, row)) throw this.#corrupt(what);
  }

  #corrupt(what: string): StoreError {
    return damaged(this.#path, what);
  }
}

/** A task is there before its attempts, and they are before its end. */
const order: readonly JournalRecord['kind'][] = ['submitted', 'attempt', 'moved'];

function recordsOf({ seq, spec, submittedAtMs, ...progress }: StoredTask, result: Uint8Array | undefined) {
  const submitted: JournalRecord = { kind: 'submitted', seq, spec, submittedAtMs };
  if (progress.state === 'pending' && progress.attempt === 0) return [submitted];
  const moved: JournalRecord = { kind: 'moved', seq, ...progress, result };
  return [submitted, moved];
}
