/** A new store in a directory of its own, made of what another one held: first rows of the book, then what lives. */
import { mkdirSync } from 'node:fs';
import type { BookPosition } from '../book/port.ts';
import { SqliteBook } from '../book/sqlite-book.ts';
import { Writer } from '../core/bytes.ts';
import type { AttemptRecord, JournalRecord, RecordOf, StoredTask } from '../core/record.ts';
import { storeLevel, writeRecord } from '../core/record-bytes.ts';
import { fullRecord } from '../core/replay.ts';
import type { Journal } from '../journal/port.ts';
import { isEnded } from '../protocol/state.ts';
import { explainPart } from './journal-error.ts';
import { openJournalIn } from './journal-files.ts';
import { bookIn, journalIn } from './layout.ts';
import { StoreError } from './port.ts';

/** Bytes of one transaction of the book, and of one batch. */
const applyBytes = 4 * 1024 * 1024;
const checkpointBytes = 64 * 1024 * 1024;

/**
 * The journal goes on behind a batch that it never had: what the book is given at the beginning. So a start that misses
 * the book refuses, as it does when the journal has let go of what ended.
 */
const rowsOnly = 1;

async function bookBeside(directory: string, journal: Journal): Promise<SqliteBook> {
  try {
    return new SqliteBook(bookIn(directory));
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/** What the book is made of. */
export type BookRecord = RecordOf<'task' | 'moved' | 'attempt' | 'purged' | 'trimmed'>;

export interface WholeTask {
  readonly task: StoredTask;
  readonly result: Uint8Array | undefined;
  readonly attempts: readonly AttemptRecord[];
}

/** Two tasks that were entered have the same id. */
export class SameIdError extends Error {
  override readonly name = 'SameIdError';
}

export class NewStore implements AsyncDisposable {
  readonly #journal: Journal;
  readonly #book: SqliteBook;
  readonly #failed: Promise<never>;
  readonly #rows = new Writer();
  readonly #batch = new Writer();
  #count = 0;
  #sequence = rowsOnly;
  #sinceCheckpoint = 0;

  private constructor(journal: Journal, book: SqliteBook, failed: Promise<never>) {
    this.#journal = journal;
    this.#book = book;
    this.#failed = failed;
  }

  /** With an id of its own, in an epoch above `epoch`, synced. */
  static async create(directory: string, epoch: number): Promise<NewStore> {
    mkdirSync(journalIn(directory), { mode: 0o700 });
    const { promise: failed, reject } = Promise.withResolvers<never>();
    failed.catch(() => {}); // it is raced with each append
    const journal = await openJournalIn(journalIn(directory), {
      failed: reject,
      witnesses: async () => ({ epoch, sequence: rowsOnly }),
    });
    const store = new NewStore(journal, await bookBeside(directory, journal), failed);
    await store.add({ kind: 'level', level: storeLevel });
    return store;
  }

  get epoch(): number {
    return this.#journal.epoch;
  }

  /** What the book takes; the order is that of the journal it comes from. */
  enter(record: BookRecord): void {
    writeRecord(this.#rows, record);
    if (this.#rows.length >= applyBytes) this.#apply(0, 0);
  }

  /** What lives, and the settings: full records. */
  async add(record: JournalRecord): Promise<void> {
    writeRecord(this.#batch, record);
    this.#count++;
    if (this.#batch.length >= applyBytes) await this.#append();
  }

  /** A task with all that belongs to it, alive or ended. */
  async put({ task, result, attempts }: WholeTask): Promise<void> {
    const { seq } = task;
    for (const attempt of attempts) this.enter({ kind: 'attempt', seq, ...attempt });
    if (!isEnded(task.state)) return this.add(fullRecord(task));
    this.enter(fullRecord(task));
    if (result !== undefined) this.enter(resultRecord(task, result));
  }

  /** Those of the ids that have ended. */
  ended(ids: readonly string[]): string[] {
    this.#apply(0, 0);
    return [...this.#book.states(ids).keys()];
  }

  /** Everything is synced. Call once, at the end. `nextSeq` is larger than every `seq` that was ever used. */
  async finish(nextSeq: number): Promise<void> {
    await this.add({ kind: 'counted', nextSeq });
    await this.#append();
    const { synced } = this.#journal;
    this.#apply(synced.sequence, synced.crc);
    if (this.#saved() === undefined)
      throw new StoreError('store_failed', 'The new book cannot be saved: another program reads it. Try again.');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#book.close();
    await this.#journal.close();
  }

  async #append(): Promise<void> {
    const appended = await Promise.race([
      this.#journal.append([this.#batch.written], this.#count, ++this.#sequence),
      this.#failed,
    ]);
    if (appended !== 'committed')
      throw new StoreError(
        'store_full',
        `The disk has no space for the new journal (${appended}). Make room and try again.`,
      );
    this.#batch.clear();
    this.#count = 0;
  }

  #saved(): BookPosition | undefined {
    try {
      return this.#book.checkpoint();
    } catch (error) {
      throw explainPart(this.#book.explain(error));
    }
  }

  #apply(sequence: number, crc: number): void {
    const { storeId, epoch } = this.#journal;
    this.#sinceCheckpoint += this.#rows.length;
    try {
      this.#book.apply(this.#rows.written, { storeId, epoch, sequence, crc });
    } catch (error) {
      const isTwice = /UNIQUE constraint failed: task\.id/.test((error as Error).message);
      throw isTwice
        ? new SameIdError('Two tasks have the same id.', { cause: error })
        : explainPart(this.#book.explain(error));
    }
    this.#rows.clear();
    if (this.#sinceCheckpoint < checkpointBytes) return;
    this.#sinceCheckpoint = 0;
    this.#saved();
  }
}

/** The record that gives the row of an ended task its result. */
export function resultRecord(task: StoredTask, result: Uint8Array): RecordOf<'moved'> {
  const { spec: _, submittedAtMs: __, ...progress } = task;
  return { ...progress, kind: 'moved', result };
}
