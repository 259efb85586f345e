/** A new store in a directory of its own, made of what another one held: first rows of the book, then what lives. */
import { mkdirSync } from 'node:fs';
import { SqliteBook } from '../book/sqlite-book.ts';
import { Writer } from '../core/bytes.ts';
import type { JournalRecord, RecordOf, StoredTask } from '../core/record.ts';
import { storeLevel, writeRecord } from '../core/record-bytes.ts';
import { fullRecord } from '../core/replay.ts';
import type { Journal } from '../journal/port.ts';
import { openJournalIn } from './journal-files.ts';
import { bookIn, journalIn } from './layout.ts';
import { StoreError } from './port.ts';

/** Bytes of one transaction of the book, and of one batch. */
const applyBytes = 4 * 1024 * 1024;
const checkpointBytes = 64 * 1024 * 1024;

/** What lives, and what counts. */
export interface LivingContent {
  readonly tasks: Iterable<StoredTask> | AsyncIterable<StoredTask>;
  readonly settings: ReadonlyMap<string, string>;
  /** Larger than every `seq` that was ever used. */
  readonly nextSeq: number;
  /** No new task may have an id whose time is before this. */
  readonly expiredBeforeMs: number;
}

export class NewStore implements AsyncDisposable {
  readonly #journal: Journal;
  readonly #book: SqliteBook;
  readonly #failed: Promise<never>;
  readonly #rows = new Writer();
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
    const journal = await openJournalIn(journalIn(directory), { failed: reject, witnesses: async () => ({ epoch }) });
    return new NewStore(journal, new SqliteBook(bookIn(directory)), failed);
  }

  get storeId(): string {
    return this.#journal.storeId;
  }

  get epoch(): number {
    return this.#journal.epoch;
  }

  /** What the book takes; the order is that of the journal it comes from. */
  enter(record: RecordOf<'task' | 'moved' | 'attempt' | 'purged' | 'trimmed'>): void {
    writeRecord(this.#rows, record);
    if (this.#rows.length >= applyBytes) this.#apply(0, 0);
  }

  /** Everything that was entered, and what lives, is synced, and the store is closed. Call once, at the end. */
  async finish({ tasks, settings, nextSeq, expiredBeforeMs }: LivingContent): Promise<void> {
    const writer = new Writer();
    let [sequence, count] = [0, 0];
    const append = async (): Promise<void> => {
      const appended = await Promise.race([this.#journal.append([writer.written], count, ++sequence), this.#failed]);
      if (appended !== 'committed')
        throw new StoreError(
          'store_full',
          `The disk has no space for the new journal (${appended}). Make room and try again.`,
        );
      writer.clear();
      count = 0;
    };
    const add = async (record: JournalRecord): Promise<void> => {
      writeRecord(writer, record);
      count++;
      if (writer.length >= applyBytes) await append();
    };
    await add({ kind: 'level', level: storeLevel });
    await add({ kind: 'counted', nextSeq });
    if (expiredBeforeMs > 0) await add({ kind: 'expired', beforeMs: expiredBeforeMs });
    for (const [key, value] of settings) await add({ kind: 'setting', namespace: 'default', key, value });
    for await (const task of tasks) await add(fullRecord(task));
    if (count > 0) await append();
    const { synced } = this.#journal;
    this.#apply(synced.sequence, synced.crc);
    if (this.#book.checkpoint() === undefined)
      throw new StoreError('store_failed', 'The new book cannot be saved: another program reads it.');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#book.close();
    await this.#journal.close();
  }

  #apply(sequence: number, crc: number): void {
    const { storeId, epoch } = this.#journal;
    this.#sinceCheckpoint += this.#rows.length;
    this.#book.apply(this.#rows.written, { storeId, epoch, sequence, crc });
    this.#rows.clear();
    if (this.#sinceCheckpoint < checkpointBytes) return;
    this.#sinceCheckpoint = 0;
    this.#book.checkpoint();
  }
}
