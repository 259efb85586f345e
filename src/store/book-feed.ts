/**
 * What has ended on its way into the book: kept in memory, where reads find it, until its row is in the book; and which
 * batches the journal must keep until the book is safe from a crash.
 */
import type { Book, BookPosition } from '../book/port.ts';
import { Writer } from '../core/bytes.ts';
import type { AttemptRecord, RecordOf, StoredTask } from '../core/record.ts';
import { writeRecord } from '../core/record-bytes.ts';
import { fullRecord } from '../core/replay.ts';

/** Bytes of one transaction of the book, and after how many it is made safe. */
const applyBytes = 4 * 1024 * 1024;
const checkpointBytes = 16 * 1024 * 1024;
/** After so many bytes of pages deletions are made safe: they take few records and many pages, and so are many short pauses. */
const deletedBytes = 2 * 1024 * 1024;
/** Beyond this, commits wait for the book. */
const backlogBytes = 64 * 1024 * 1024;

interface RecentTask extends StoredTask {
  readonly result: Uint8Array | undefined;
}

interface Entry {
  readonly order: number;
  readonly position: BookPosition;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly seqs: readonly number[];
  /** It is a transaction of its own, which takes as long as retention meant it to. */
  readonly deletes: boolean;
}

export class BookFeed {
  readonly #book: Book;
  readonly #failed: (error: Error) => void;
  readonly #writer = new Writer();
  #seqs: number[] = [];
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
  #sinceCheckpoint = 0;
  #applied: number;
  /** Who waits until so much is in the book. */
  #waiting: { readonly sequence: number; readonly resolve: () => void }[] = [];
  /** The batch up to which the book is safe. */
  #safe: number;
  /** For each end that is not safe: its own batch, and that of its task's last full record. */
  #ends: { readonly end: number; readonly full: number }[] = [];
  #oldestFull = Number.POSITIVE_INFINITY;

  constructor(book: Book, position: number, failed: (error: Error) => void) {
    this.#book = book;
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
    this.#seqs.push(seq);
  }

  /** @param full the batch of the task's last full record. */
  end(task: StoredTask, moved: RecordOf<'moved'>, end: number, full: number): void {
    const recent = { ...task, result: moved.result };
    this.tasks.set(task.seq, recent);
    this.byId.set(task.spec.id, recent);
    writeRecord(this.#writer, fullRecord(task));
    if (moved.result !== undefined) writeRecord(this.#writer, moved);
    this.#seqs.push(task.seq);
    this.#ends.push({ end, full });
    this.#oldestFull = Math.min(this.#oldestFull, full);
  }

  delete(record: RecordOf<'purged'> | RecordOf<'trimmed'>): void {
    writeRecord(this.#writer, record);
    this.#deletes = true;
  }

  /** What was given since the last call belongs to this batch. Call when it is synced, in order of the batches. */
  cut(): (position: BookPosition) => void {
    const bytes = new Uint8Array(this.#writer.written);
    const seqs = this.#seqs;
    const deletes = this.#deletes;
    const order = this.#order++;
    this.#writer.clear();
    this.#seqs = [];
    this.#deletes = false;
    return (position) => {
      this.#queue.push({ order, position, bytes, seqs, deletes });
      this.#queuedBytes += bytes.length;
      this.#running ??= this.#run();
    };
  }

  /** Resolves when commits need not wait for the book. */
  async room(): Promise<void> {
    while (this.#queuedBytes > backlogBytes && this.#running !== undefined) await this.#running;
  }

  /** Resolves when everything that was given until now is in the book. */
  entered(): Promise<void> {
    const sequence = this.#queue.at(-1)?.position.sequence;
    if (this.#running === undefined || sequence === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ sequence, resolve }));
  }

  /** Everything that was given is in the book, and safe. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (this.#applied > this.#safe) await this.#checkpoint();
  }

  /** Gives free space of the book back to the disk, a slice of it, and at the end makes that safe; whether there is more. */
  async shrink(): Promise<boolean> {
    const { isMore, unsavedBytes } = await this.#book.shrink();
    if (unsavedBytes > (isMore ? deletedBytes : 0)) await this.#checkpoint();
    return isMore;
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const entries = this.#next();
        const unsavedBytes = await this.#apply(entries);
        this.#queue.splice(0, entries.length);
        this.#waiting = this.#waiting.filter(({ sequence, resolve }) => sequence > this.#applied || resolve());
        const isMuch = entries[0]!.deletes && unsavedBytes > deletedBytes;
        if (isMuch || this.#sinceCheckpoint > checkpointBytes) await this.#checkpoint();
      }
    } catch (error) {
      this.#failed(error as Error);
    } finally {
      this.#running = undefined;
      for (const { resolve } of this.#waiting.splice(0)) resolve();
    }
  }

  /** The entries of the next transaction, at the front of the queue. */
  #next(): readonly Entry[] {
    let bytes = 0;
    const end = this.#queue.findIndex(({ deletes }, at) => {
      const isFull = bytes >= applyBytes || deletes || (at > 0 && this.#queue[at - 1]!.deletes);
      bytes += this.#queue[at]!.bytes.length;
      return at > 0 && isFull;
    });
    return this.#queue.slice(0, end === -1 ? this.#queue.length : end);
  }

  /** Answers how much of the book waits for a checkpoint. */
  async #apply(entries: readonly Entry[]): Promise<number> {
    const length = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const entry of entries) {
      bytes.set(entry.bytes, at);
      at += entry.bytes.length;
    }
    const { position } = entries.at(-1)!;
    const unsavedBytes = await this.#book.apply(bytes, position);
    this.#applied = position.sequence;
    this.#queuedBytes -= length;
    this.#sinceCheckpoint += length + 1;
    for (const { seqs, order } of entries)
      for (const seq of seqs) {
        this.#entered(seq);
        if (this.#attempts.get(seq)?.latest === order) this.#attempts.delete(seq);
      }
    return unsavedBytes;
  }

  #entered(seq: number): void {
    const recent = this.tasks.get(seq);
    if (recent === undefined) return;
    this.tasks.delete(seq);
    this.byId.delete(recent.spec.id);
  }

  async #checkpoint(): Promise<void> {
    const safe = await this.#book.checkpoint();
    this.#sinceCheckpoint = 0;
    this.#safe = safe?.sequence ?? this.#safe;
    this.#ends = this.#ends.filter(({ end }) => end > this.#safe);
    this.#oldestFull = this.#ends.reduce((oldest, { full }) => Math.min(oldest, full), Number.POSITIVE_INFINITY);
  }
}
