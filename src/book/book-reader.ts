/**
 * A book that is only read, whole or damaged: every row is looked at, and what is wrong with one holds up no other.
 * Statements are short, so that a broker that writes the same book is never held up either.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { RecordOf } from '../core/record.ts';
import { copyPages } from './copy-pages.ts';
import { BookError, damagedBook, explainBook } from './error.ts';
import type { BookPosition } from './port.ts';
import { attemptOf, bodyOf, type Row, taskOf } from './row.ts';
import { busyMs, hasOwnTables, positionIn, versionOf } from './schema.ts';
import { hasWriteAhead, mainFileOf, refuseEmptied, refuseStrange, savedIn } from './write-ahead.ts';

/** What belongs to one `seq`: the row of the task when it has ended, its bodies and its attempts. */
interface BookEntry {
  readonly seq: number;
  /** Undefined for a task that lives, and for one whose row is damaged. Its payload is in it. */
  readonly task: RecordOf<'task'> | undefined;
  readonly result: Uint8Array | undefined;
  readonly attempts: readonly RecordOf<'attempt'>[];
  /** One for each row that is not whole. */
  readonly damage: readonly BookError[];
  /** Of the damaged row of a task, as far as it can be read. */
  readonly id: string | undefined;
}

const slice = 500;
const noBytes = new Uint8Array(0);
interface Scan {
  /** A table, and its key up to the `seq`. */
  readonly of: string;
  readonly order: 'ASC' | 'DESC';
}
const tables = [
  ['task', taskOf],
  ['body', bodyOf],
  ['attempt', attemptOf],
] as const;
const bodies = ['body WHERE is_last = 0 AND seq', 'body WHERE is_last = 1 AND seq'];
const scans = ['task WHERE seq', ...bodies, 'attempt WHERE seq'].flatMap((of): Scan[] => [
  { of, order: 'ASC' },
  { of, order: 'DESC' },
]);

export class BookReader implements Disposable {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @param isMoving whether a broker writes the book. Throws a BookError. */
  constructor(path: string, isMoving: boolean) {
    this.#path = path;
    refuseEmptied(path);
    const hasLog = hasWriteAhead(path);
    const saved = hasLog && !isMoving ? savedIn(path) : undefined;
    try {
      // Immutable: SQLite makes no file beside it. What is in a write-ahead file is found only without.
      const location = isMoving || hasLog ? path : mainFileOf(path);
      this.#db = new DatabaseSync(location, { readOnly: true });
      this.#db.exec(`PRAGMA busy_timeout = ${busyMs}`);
      if (saved !== undefined && versionOf(this.#db, path) > 0) refuseStrange(this.#db, path, saved);
    } catch (error) {
      throw explainBook(path, error);
    }
  }

  get position(): BookPosition | undefined {
    return this.#orExplained(() => (this.isEmpty ? undefined : positionIn(this.#db, this.#path)));
  }

  /** It was made, and nothing was written to it yet. */
  get isEmpty(): boolean {
    return this.#orExplained(() => versionOf(this.#db, this.#path) === 0);
  }

  /** Whether they are those of a book, whatever the file says that it is. */
  get hasOwnTables(): boolean {
    try {
      return hasOwnTables(this.#db);
    } catch {
      return false;
    }
  }

  /** How many tasks have a row. */
  get count(): number {
    return this.#orExplained(() =>
      this.isEmpty ? 0 : Number(this.#db.prepare('SELECT count(*) AS count FROM task').get()!.count),
    );
  }

  /** What SQLite itself finds wrong with the file. Reads all of it, in one go. */
  flaws(): string[] {
    try {
      const rows = this.#db.prepare('PRAGMA integrity_check(20)').all();
      return rows.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok');
    } catch (error) {
      return [(error as Error).message];
    }
  }

  /** Reads every row, and whatever SQLite checks. Throws a BookError at the first that is not whole. */
  check(each: () => void = () => {}): void {
    if (this.isEmpty) return;
    const [flaw] = this.flaws();
    if (flaw !== undefined) throw damagedBook(this.#path, flaw);
    this.#orExplained(() => {
      for (const [table, read] of tables)
        for (const row of this.#db.prepare(`SELECT * FROM ${table}`).iterate()) {
          read(this.#path, row);
          each();
        }
    });
  }

  /** Every `seq` that any table knows, in order. A page that cannot be read is come to from its other side. */
  seqs(): { readonly seqs: readonly number[]; readonly damage: readonly BookError[] } {
    const found = new Set<number>();
    const damage = new Map<string, BookError>();
    for (const scan of this.isEmpty ? [] : scans)
      try {
        for (const seq of this.#scan(scan)) found.add(seq);
      } catch (error) {
        damage.set((error as Error).message, explainBook(this.#path, error));
      }
    return { seqs: [...found].sort((a, b) => a - b), damage: [...damage.values()] };
  }

  /** The `seq` of every row of a task, in order, page by page. */
  *ended(): Generator<number> {
    if (!this.isEmpty) yield* this.#scan({ of: 'task WHERE seq', order: 'ASC' });
  }

  entry(seq: number): BookEntry {
    const damage: BookError[] = [];
    const attempt = <T>(read: () => T): T | undefined => {
      try {
        return read();
      } catch (error) {
        damage.push(explainBook(this.#path, error));
        return undefined;
      }
    };
    const rows = (of: string): Row[] => attempt(() => this.#rowsOf(of).all(seq)) ?? [];
    const [row] = rows('task WHERE seq');
    const bodyRows = rows('body WHERE is_last IN (0, 1) AND seq');
    const bodies = new Map(bodyRows.map((one) => [one.kind, attempt(() => bodyOf(this.#path, one))]));
    const attempts = rows('attempt WHERE seq').flatMap((one) => attempt(() => attemptOf(this.#path, one)) ?? []);
    const task = row === undefined ? undefined : attempt(() => taskOf(this.#path, row));
    return {
      seq,
      task: task && { ...task, spec: { ...task.spec, payload: bodies.get('payload') ?? noBytes } },
      result: bodies.get('result'),
      attempts,
      damage,
      id: typeof row?.id === 'string' ? row.id : undefined,
    };
  }

  /** Copies the book as it is at one moment. */
  async copyTo(path: string): Promise<void> {
    try {
      await copyPages(this.#db, path);
    } catch (cause) {
      const { code, message } = explainBook(this.#path, cause);
      // The book itself is only read: it is the copy that cannot grow.
      const why = code === 'book_full' ? 'The disk there is full, or limits its size.' : message;
      throw new BookError(
        code,
        `The book cannot be copied to ${path}. ${why} See that there is room for it, or name another place.`,
        { cause },
      );
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  /** @param of a table, and the key up to the `seq`. */
  #rowsOf(of: string): StatementSync {
    let statement = this.#statements.get(of);
    if (statement === undefined) {
      statement = this.#db.prepare(`SELECT * FROM ${of} = ?`);
      this.#statements.set(of, statement);
    }
    return statement;
  }

  *#scan({ of, order }: Scan): Generator<number> {
    const beyond = order === 'ASC' ? '>' : '<';
    const statement = this.#db.prepare(
      `SELECT DISTINCT seq FROM ${of} ${beyond} ? ORDER BY seq ${order} LIMIT ${slice}`,
    );
    let last = order === 'ASC' ? -1 : Number.MAX_SAFE_INTEGER;
    for (;;) {
      const rows = statement.all(last);
      for (const { seq } of rows) yield Number(seq);
      if (rows.length < slice) return;
      last = Number(rows.at(-1)!.seq);
    }
  }

  #orExplained<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw explainBook(this.#path, error);
    }
  }
}
