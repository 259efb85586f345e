/** The book on SQLite, synchronous; a thread of its own runs it, so that nothing here holds up the loop. */
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Expired } from '../core/expire.ts';
import type { AttemptRecord, StoredTask } from '../core/record.ts';
import { endedStates, type TaskState } from '../protocol/state.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import { copyPages } from './copy-pages.ts';
import { type BookError, explainBook } from './error.ts';
import { MainFile } from './main-file.ts';
import { OpenFiles } from './open-files.ts';
import type { BookPosition, BookSize, EndedFilter, EndedTask, Expiry, Newest, Shrunk } from './port.ts';
import { BookRetention } from './retention.ts';
import { attemptOf, bodyOf, type Row, taskOf } from './row.ts';
import { RowWriter } from './row-writer.ts';
import { busyMs, openBook, type Point, pageBytes, pagesOf, positionIn, standingIn, standingRow } from './schema.ts';
import { hasWriteAhead, nowhere, refuseEmptied, refuseStrange, savedIn } from './write-ahead.ts';

const noBytes = new Uint8Array(0);
/** More bytes than SQLite writes at once. */
const written = 128 * 1024;

export class SqliteBook {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #files: OpenFiles;
  readonly #main: MainFile;
  /** The last connection that is closed saves what the write-ahead file has; one that can only read does not. */
  readonly #keeper: DatabaseSync;
  readonly #rows: RowWriter;
  readonly #stand: StatementSync;
  readonly #retention: BookRetention;
  /** What `open` reads, without a look; undefined for a book that is new. */
  #position: BookPosition | undefined;
  /** Where the main file stands. */
  #saved: Point;

  /** Opens or creates the book at `path`. Throws a BookError. */
  constructor(path: string) {
    this.#path = path;
    let db: DatabaseSync | undefined;
    let keeper: DatabaseSync | undefined;
    try {
      refuseEmptied(path);
      const hasLog = hasWriteAhead(path);
      const saved = hasLog ? savedIn(path) : undefined;
      if (hasLog) keeper = keeperOf(path);
      db = openBook(path);
      this.#db = db;
      if (saved !== undefined) refuseStrange(this.#db, path, saved);
      this.#rows = new RowWriter(this.#db);
      this.#stand = this.#db.prepare('INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
      this.#retention = new BookRetention(this.#db);
      const standing = standingIn(this.#db, path);
      if (standing !== undefined) this.#rows.totals = standing.totals;
      this.#position = standing?.position;
      this.#saved = saved ?? this.#position ?? nowhere;
      keeper ??= keeperOf(path);
      this.#keeper = keeper;
      this.#main = new MainFile(path);
      this.#files = new OpenFiles(path);
    } catch (error) {
      db?.close();
      keeper?.close(); // last: what is refused is left as it is
      throw explainBook(path, error);
    }
  }

  open(): BookPosition | undefined {
    return positionIn(this.#db, this.#path);
  }

  apply(records: Uint8Array, position: BookPosition): number {
    const startedMs = performance.now();
    const before = { ...this.#rows.totals };
    const stood = this.#position ?? nowhere;
    this.#files.checkLength();
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      this.#rows.enter(records);
      this.#stand.run(...standingRow({ position, totals: this.#rows.totals, saved: this.#saved }));
      this.#main.extend(pagesOf(this.#db, 'page_count') * pageBytes);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      this.#rows.totals = before;
      throw error;
    }
    this.#position = position;
    this.#files.written();
    const { tasks, bytes, part } = this.#rows.deleted;
    if (tasks > 0) this.#retention.took(tasks, bytes, part * (performance.now() - startedMs));
    this.#standOn(stood);
    return this.#unsavedBytes;
  }

  /**
   * SQLite begins the write-ahead file anew where all of it is in the main file, whoever saved it: another program may have.
   * What says where the main file stands is right then from the next transaction on.
   */
  #standOn(stood: Point): void {
    const isKnown = stood.sequence === this.#saved.sequence && stood.crc === this.#saved.crc;
    if (!this.#files.isLogNew || isKnown) return;
    this.#saved = stood;
    this.#stand.run(...standingRow({ position: this.#position!, totals: this.#rows.totals, saved: stood }));
    this.#files.written();
  }

  checkpoint(): BookPosition | undefined {
    this.#files.checkLength();
    const { busy, log, checkpointed } = this.#withoutWaiting(() =>
      this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get(),
    )!;
    this.#files.written();
    // Another reads the book. Where that needs nothing of the write-ahead file it is saved whole, and SQLite begins it anew.
    if (busy !== 0 && !(Number(log) >= 0 && log === checkpointed)) return undefined;
    this.#saved = this.#position ?? this.#saved;
    return this.#position;
  }

  /** For whoever reads the book: a backup may take long, and rows wait meanwhile. */
  #withoutWaiting<T>(run: () => T): T {
    this.#db.exec('PRAGMA busy_timeout = 0');
    try {
      return run();
    } finally {
      this.#db.exec(`PRAGMA busy_timeout = ${busyMs}`);
    }
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

  /** State by state, as the indexes have them in order, for all operations or for one. */
  list({ states, operation, collectorId, beforeSeq, limit }: EndedFilter): StoredTask[] {
    const isOfAll = states.length === 0 && operation === undefined;
    const each = isOfAll ? [undefined] : new Set(states.length > 0 ? states : endedStates);
    return [...each]
      .flatMap((state) => {
        const wanted = { state, operation, collector: collectorId, seq: beforeSeq };
        const known = Object.entries(wanted).flatMap(([key, value]) =>
          value === undefined ? [] : [[key, value] as const],
        );
        const all = known.map(([key]) => `${key} ${key === 'seq' ? '<' : '='} ?`).join(' AND ');
        const sql = `SELECT * FROM task ${all && `WHERE ${all}`} ORDER BY seq DESC LIMIT ?`;
        return this.#db.prepare(sql).all(...known.map(([, value]) => value), limit);
      })
      .sort((a, b) => Number(b.seq) - Number(a.seq))
      .slice(0, limit)
      .map((row) => this.#task(row));
  }

  expired(expiry: Expiry): Expired {
    return this.#retention.expired(expiry, this.#rows.totals.tasks);
  }

  shrink(isAll: boolean): Shrunk {
    this.#files.checkLength();
    const isMore = this.#retention.shrink(isAll);
    this.#files.written();
    if (this.#position !== undefined) this.#standOn(this.#position);
    return { isMore, unsavedBytes: this.#unsavedBytes };
  }

  newest(wallMs: number, idsAheadMax: number): Newest {
    const ahead = uuidFirst(wallMs + 1);
    const { id } = this.#db.prepare('SELECT max(id) AS id FROM task WHERE id < ?').get(ahead)!;
    const idsAhead = this.#db
      .prepare('SELECT id FROM task WHERE id >= ? ORDER BY id DESC LIMIT ?')
      .all(ahead, idsAheadMax);
    const { endedMs } = this.#rows.totals;
    return {
      id: id === null ? undefined : String(id),
      idsAhead: idsAhead.map((row) => String(row.id)),
      endedAtMs: endedMs < 0 ? undefined : endedMs,
      seq: Number(this.#db.prepare('SELECT max(seq) AS seq FROM task').get()!.seq ?? 0),
    };
  }

  size(): BookSize {
    const bytes = [this.#path, `${this.#path}-wal`]
      .map((file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size, 0);
    return { bytes, tasks: this.#rows.totals.tasks };
  }

  check(): void {
    this.#files.check();
  }

  copyTo(path: string): Promise<void> {
    return copyPages(this.#db, path);
  }

  /** Saves nothing when a file is not what it was: pages of two times would be mixed. */
  close(): void {
    const [first, last] = this.#isSound ? [this.#keeper, this.#db] : [this.#db, this.#keeper];
    first.close();
    last.close();
    this.#main.close();
    this.#files.close();
  }

  explain(error: unknown): BookError {
    return explainBook(this.#path, error, () => this.#main.mayHave(this.#unsavedBytes + written));
  }

  get #isSound(): boolean {
    try {
      this.#files.check();
      return true;
    } catch {
      return false;
    }
  }

  /** Of the write-ahead file. */
  get #unsavedBytes(): number {
    return statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  #task(row: Row): StoredTask {
    const { kind: _, ...task } = taskOf(this.#path, row);
    return task;
  }

  #body(seq: number, kind: string): Uint8Array | undefined {
    const row = this.#db.prepare('SELECT * FROM body WHERE is_last IN (0, 1) AND seq = ? AND kind = ?').get(seq, kind);
    return row === undefined ? undefined : bodyOf(this.#path, row);
  }
}

/** A connection that saves nothing, and holds its lock from its first read on. */
function keeperOf(path: string): DatabaseSync {
  const keeper = new DatabaseSync(path, { readOnly: true });
  try {
    keeper.exec(`PRAGMA busy_timeout = ${busyMs}; PRAGMA user_version`);
  } catch {} // why is told when the book is opened
  return keeper;
}
