/**
 * What has ended on its way into the book: kept in memory, where reads find it, until its row is in the book; and which
 * batches the journal must keep until the book is safe from a crash.
 */
import { BookError } from '../book/error.ts';
import type { Book, BookPosition } from '../book/port.ts';
import { Writer } from '../core/bytes.ts';
import type { AttemptRecord, RecordOf, StoredTask } from '../core/record.ts';
import { writeRecord } from '../core/record-bytes.ts';
import { fullRecord } from '../core/replay.ts';
import { blockBytes, blocksOf } from '../journal/header.ts';
import type { StoreSizes } from './sizes.ts';

interface RecentTask extends StoredTask {
  readonly result: Uint8Array | undefined;
}

interface Entry {
  readonly order: number;
  readonly position: BookPosition;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of its batch in the journal. */
  readonly batchBytes: number;
  /** What ended in it, and the tasks of which an attempt did. */
  readonly ended: readonly RecentTask[];
  readonly attempted: readonly number[];
}

export class BookFeed {
  readonly #book: Book;
  readonly #sizes: StoreSizes;
  readonly #failed: (error: Error) => void;
  readonly #writer = new Writer();
  #ended: RecentTask[] = [];
  #attempted: number[] = [];
  /** Ended, and not in the book yet. */
  readonly tasks = new Map<number, RecentTask>();
  /** The same, by id. */
  readonly byId = new Map<string, RecentTask>();
  readonly #attempts = new Map<number, { readonly all: AttemptRecord[]; latest: number }>();
  /** Of the entry that is being gathered. */
  #order = 1;
  #queue: Entry[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  /** The book could not take the front of the queue. */
  #full = false;
  #sinceCheckpoint = 0;
  #applied: number;
  /** The batch up to which the book is safe. */
  #safe: number;
  /** For each end that is not safe: its own batch, and that of its task's last full record. */
  #ends: { readonly end: number; readonly full: number }[] = [];
  #oldestFull = Number.POSITIVE_INFINITY;

  constructor(book: Book, sizes: StoreSizes, position: number, failed: (error: Error) => void) {
    this.#book = book;
    this.#sizes = sizes;
    this.#failed = failed;
    this.#applied = this.#safe = position;
  }

  /** Nothing from here on may leave the journal. */
  get needed(): number {
    return Math.min(this.#safe + 1, this.#oldestFull);
  }

  /** Attempts that have ended and are not all in the book yet; undefined when they are. */
  attemptsOf(seq: number): readonly AttemptRecord[] | undefined {
    return this.#attempts.get(seq)?.all;
  }

  attempt(record: RecordOf<'attempt'>): void {
    const { kind: _, seq, ...attempt } = record;
    const known = this.#attempts.get(seq);
    if (known === undefined) this.#attempts.set(seq, { all: [attempt], latest: this.#order });
    else {
      known.all.push(attempt);
      known.latest = this.#order;
    }
    writeRecord(this.#writer, record);
    this.#attempted.push(seq);
  }

  /** @param full the batch of the task's last full record. */
  end(task: StoredTask, moved: RecordOf<'moved'>, end: number, full: number): void {
    const recent = { ...task, result: moved.result };
    this.tasks.set(task.seq, recent);
    this.byId.set(task.spec.id, recent);
    writeRecord(this.#writer, fullRecord(task));
    if (moved.result !== undefined) writeRecord(this.#writer, moved);
    this.#ended.push(recent);
    this.#ends.push({ end, full });
    this.#oldestFull = Math.min(this.#oldestFull, full);
  }

  purge(record: RecordOf<'purged'>): void {
    writeRecord(this.#writer, record);
  }

  /**
   * What was given since the last call belongs to a batch of so many bytes. Call the answer when that is synced, in order
   * of the batches.
   */
  cut(batchBytes: number): (position: BookPosition) => void {
    const bytes = new Uint8Array(this.#writer.written);
    const [ended, attempted] = [this.#ended, this.#attempted];
    const order = this.#order++;
    this.#writer.clear();
    [this.#ended, this.#attempted] = [[], []];
    return (position) => {
      this.#queue.push({ order, position, bytes, batchBytes, ended, attempted });
      this.#queuedBytes += bytes.length;
      if (!this.#full) this.#running ??= this.#run();
    };
  }

  /** Resolves when commits need not wait for the book; never waits for a disk that is full. */
  async room(): Promise<void> {
    while (this.#queuedBytes > this.#sizes.backlogBytes && this.#running !== undefined) await this.#running;
  }

  /** The disk had no room for what is to be entered. */
  get full(): boolean {
    return this.#full;
  }

  /** Nothing more should be given: what waits is as much as may wait on a full disk. */
  get blocked(): boolean {
    return this.#full && this.#queuedBytes > this.#sizes.backlogBytes / 2;
  }

  /** Tries again what a full disk did not let in. */
  retry(): void {
    if (this.#full) this.#running ??= this.#run();
  }

  /** Everything that was given is in the book, and safe, but for what a full disk does not let in. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (this.#applied <= this.#safe) return;
    this.#running = this.#run(0);
    await this.#running;
  }

  /** @param unsafeBytes so much of the book may stay unsafe. */
  async #run(unsafeBytes = this.#sizes.checkpointBytes): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        let bytes = 0;
        let count = 0;
        while (count < this.#queue.length && (count === 0 || bytes < this.#sizes.applyBytes))
          bytes += this.#queue[count++]!.bytes.length;
        await this.#apply(this.#queue.slice(0, count), bytes);
        this.#queue.splice(0, count);
        if (this.#sinceCheckpoint > this.#sizes.checkpointBytes) await this.#checkpoint();
      }
      if (this.#sinceCheckpoint > unsafeBytes) await this.#checkpoint();
      this.#full = false;
    } catch (error) {
      if (error instanceof BookError && error.code === 'book_full') this.#full = true;
      else this.#failed(error as Error);
    } finally {
      this.#running = undefined;
    }
  }

  async #apply(entries: readonly Entry[], length: number): Promise<void> {
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const entry of entries) {
      bytes.set(entry.bytes, at);
      at += entry.bytes.length;
    }
    const { position } = entries.at(-1)!;
    await this.#book.apply(bytes, position);
    this.#applied = position.sequence;
    this.#queuedBytes -= length;
    for (const { ended, attempted, order, batchBytes } of entries) {
      this.#sinceCheckpoint += blocksOf(batchBytes) * blockBytes;
      for (const task of ended) this.#entered(task);
      for (const seq of attempted) if (this.#attempts.get(seq)?.latest === order) this.#attempts.delete(seq);
    }
  }

  #entered(task: RecentTask): void {
    if (this.tasks.get(task.seq) !== task) return; // it lived and ended once more
    this.tasks.delete(task.seq);
    this.byId.delete(task.spec.id);
  }

  async #checkpoint(): Promise<void> {
    const safe = await this.#book.checkpoint();
    this.#sinceCheckpoint = 0;
    this.#safe = safe?.sequence ?? this.#safe;
    this.#ends = this.#ends.filter(({ end }) => end > this.#safe);
    this.#oldestFull = this.#ends.reduce((oldest, { full }) => Math.min(oldest, full), Number.POSITIVE_INFINITY);
  }
}
