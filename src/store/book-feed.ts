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
import { bytesOfParts, type Entry, type Part, type RecentTask, recordsOf } from './book-part.ts';
import type { Place, ReadBody } from './payloads.ts';
import type { StoreSizes } from './sizes.ts';

/** What the feed is given of the rest of the store. */
interface Feeding {
  readonly book: Book;
  readonly sizes: StoreSizes;
  /** Up to where the book is safe. */
  readonly position: number;
  readonly read: ReadBody;
  readonly failed: (error: Error) => void;
}

export class BookFeed {
  readonly #book: Book;
  readonly #sizes: StoreSizes;
  readonly #read: ReadBody;
  readonly #failed: (error: Error) => void;
  readonly #writer = new Writer();
  /** Of the entry that is being gathered, before what the writer has. */
  #parts: Part[] = [];
  #ended: RecentTask[] = [];
  #attempted: number[] = [];
  #deletes = false;
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
  #timer: NodeJS.Timeout | undefined;
  /** The book could not take the front of the queue. */
  #full = false;
  #sinceCheckpoint = 0;
  #applied: number;
  /** Of the last entry that is in the book; and who waits for one. */
  #appliedOrder = 0;
  #waiting: { readonly order: number; readonly resolve: () => void }[] = [];
  /** The batch up to which the book is safe. */
  #safe: number;
  /** For each end that is not safe: its own batch, and that of its task's last full record. */
  #ends: { readonly end: number; readonly full: number }[] = [];
  #oldestFull = Number.POSITIVE_INFINITY;

  constructor({ book, sizes, position, read, failed }: Feeding) {
    this.#book = book;
    this.#read = read;
    this.#sizes = sizes;
    this.#failed = failed;
    this.#applied = this.#safe = position;
  }

  /** The batch up to which the book has taken in what it was given. */
  get applied(): number {
    return this.#applied;
  }

  /** Nothing from here on may leave the journal. */
  get needed(): number {
    return Math.min(this.#safe + 1, this.#oldestFull);
  }

  /** Attempts that have ended and are not all in the book yet; undefined when they are. */
  attemptsOf(seq: number): readonly AttemptRecord[] | undefined {
    return this.#attempts.get(seq)?.all;
  }

  /** All that is not in the book, synced or not: as it is now. */
  get left(): { readonly tasks: readonly RecentTask[]; readonly attempts: readonly RecordOf<'attempt'>[] } {
    const attempts = [...this.#attempts].flatMap(([seq, { all }]) =>
      all.map((one) => ({ kind: 'attempt' as const, seq, ...one })),
    );
    return { tasks: [...this.tasks.values()], attempts };
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

  /**
   * @param full the batch of the task's last full record.
   * @param place of its payload, when that is not in memory; the full record holds it.
   */
  end(task: StoredTask, moved: RecordOf<'moved'>, end: number, full: number, place: Place | undefined): void {
    const recent = { ...task, result: moved.result, place };
    this.tasks.set(task.seq, recent);
    this.byId.set(task.spec.id, recent);
    if (place === undefined) writeRecord(this.#writer, fullRecord(task));
    else this.#parts.push(this.#written(), recent);
    if (moved.result !== undefined) writeRecord(this.#writer, moved);
    this.#ended.push(recent);
    this.#ends.push({ end, full });
    this.#oldestFull = Math.min(this.#oldestFull, full);
  }

  delete(record: RecordOf<'purged'> | RecordOf<'trimmed'>): void {
    writeRecord(this.#writer, record);
    this.#deletes = true;
  }

  /**
   * What was given since the last call belongs to a batch of so many bytes. Call the answer when that is synced, in order
   * of the batches.
   */
  cut(batchBytes: number): (position: BookPosition) => void {
    const parts = [...this.#parts, this.#written()];
    const bytes = bytesOfParts(parts);
    const [ended, attempted, deletes] = [this.#ended, this.#attempted, this.#deletes];
    const order = this.#order++;
    [this.#ended, this.#attempted, this.#parts, this.#deletes] = [[], [], [], false];
    return (position) => {
      this.#queue.push({ order, position, parts, bytes, batchBytes, ended, attempted, deletes });
      this.#queuedBytes += bytes;
      this.#gather();
    };
  }

  /** Few and large transactions cost less than many. */
  #gather(): void {
    if (this.#full || this.#running !== undefined) return;
    const { gatherBytes, gatherMs } = this.#sizes;
    if (gatherMs === 0 || this.#queuedBytes >= gatherBytes) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), gatherMs).unref();
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#queue.length === 0) this.#full = false;
    else this.#running ??= this.#run();
  }

  /** Resolves when commits need not wait for the book; never waits for a disk that is full. */
  async room(): Promise<void> {
    while (this.#queuedBytes > this.#sizes.backlogBytes && this.#running !== undefined && !this.#full)
      await this.#enteredUpTo(this.#queue[0]!.order);
  }

  /** Resolves when everything that was given until now is in the book, or the disk is found to be full. */
  entered(): Promise<void> {
    return this.#enteredUpTo(this.#order - 1);
  }

  #enteredUpTo(order: number): Promise<void> {
    if (this.#full || order <= this.#appliedOrder) return Promise.resolve();
    this.#begin();
    return new Promise((resolve) => this.#waiting.push({ order, resolve }));
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
  async retry(): Promise<void> {
    if (!this.#full) return;
    this.#begin();
    await this.#running;
  }

  /** Makes safe what the book has taken in. */
  async save(): Promise<void> {
    if (this.#applied > this.#safe) await this.#checkpoint().catch((error: Error) => this.#stopped(error));
  }

  /**
   * Every synced batch that was given until now is in the book, and safe, but for what a full disk does not let in. What
   * comes meanwhile is not waited for: on a busy store there is always some.
   */
  async flush(): Promise<void> {
    if (this.#full) this.#begin();
    await (this.#full ? this.#running : this.#enteredUpTo(this.#queue.at(-1)?.order ?? 0));
    await this.save();
  }

  /**
   * Gives free space of the book back to the disk, a slice of it, and at the end makes that safe; whether there is more. That
   * takes some space itself, which a full disk does not have.
   */
  async shrink(): Promise<boolean> {
    try {
      const { isMore, unsavedBytes } = await this.#book.shrink(false);
      if (unsavedBytes > (isMore ? this.#sizes.deletedBytes : 0)) await this.#checkpoint();
      return isMore;
    } catch (error) {
      if (isFullDisk(error)) return false;
      throw error;
    }
  }

  /** With something in the queue: it ends in a later turn than it began. */
  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const entries = this.#next();
        const unsavedBytes = await this.#apply(entries);
        this.#queue.splice(0, entries.length);
        this.#waiting = this.#waiting.filter(({ order, resolve }) => order > this.#appliedOrder || resolve());
        const isMuch = entries[0]!.deletes && unsavedBytes > this.#sizes.deletedBytes;
        if (isMuch || this.#sinceCheckpoint > this.#sizes.checkpointBytes) await this.#checkpoint();
      }
      this.#full = false;
    } catch (error) {
      this.#stopped(error as Error);
    } finally {
      this.#running = undefined; // in the turn that saw the queue empty: what comes then begins anew
    }
  }

  #stopped(error: Error): void {
    if (isFullDisk(error)) this.#full = true;
    else this.#failed(error);
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** The entries of the next transaction, at the front of the queue. */
  #next(): readonly Entry[] {
    let bytes = 0;
    const end = this.#queue.findIndex(({ deletes }, at) => {
      const isFull = bytes >= this.#sizes.applyBytes || deletes || (at > 0 && this.#queue[at - 1]!.deletes);
      bytes += this.#queue[at]!.bytes;
      return at > 0 && isFull;
    });
    return this.#queue.slice(0, end === -1 ? this.#queue.length : end);
  }

  /** Answers how much of the book waits for a checkpoint. */
  async #apply(entries: readonly Entry[]): Promise<number> {
    const { position } = entries.at(-1)!;
    const records = await recordsOf(
      entries.flatMap((entry) => entry.parts),
      this.#read,
    );
    const unsavedBytes = await this.#book.apply(records, position);
    this.#applied = position.sequence;
    this.#appliedOrder = entries.at(-1)!.order;
    this.#queuedBytes -= entries.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { ended, attempted, order, batchBytes } of entries) {
      this.#sinceCheckpoint += blocksOf(batchBytes) * blockBytes;
      for (const task of ended) this.#entered(task);
      for (const seq of attempted) if (this.#attempts.get(seq)?.latest === order) this.#attempts.delete(seq);
    }
    return unsavedBytes;
  }

  /** What the writer has, as bytes of their own. */
  #written(): Uint8Array {
    const bytes = new Uint8Array(this.#writer.written);
    this.#writer.clear();
    return bytes;
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

const isFullDisk = (error: unknown): boolean => error instanceof BookError && error.code === 'book_full';
