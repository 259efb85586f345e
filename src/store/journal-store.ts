/**
 * The store on a journal and a book. What is committed is appended to the journal, synced, and folded into what lives;
 * what has ended goes on to the book. Space in the journal is had back by writing again what lives in its oldest segment.
 */
import assert from 'node:assert/strict';
import type { Book, BookPosition } from '../book/port.ts';
import { Reader, Writer } from '../core/bytes.ts';
import type { AttemptRecord, JournalRecord, StoredTask } from '../core/record.ts';
import { readOwnRecord, writeRecord } from '../core/record-bytes.ts';
import { bytesOf } from '../core/record-size.ts';
import type { Journal } from '../journal/port.ts';
import type { TaskState } from '../protocol/state.ts';
import { BookFeed } from './book-feed.ts';
import { explainPart } from './journal-error.ts';
import { listed } from './listing.ts';
import { LiveState } from './live-state.ts';
import { newestOf } from './newest.ts';
import {
  type Loaded,
  type LoadOptions,
  type PurgeOptions,
  type Room,
  type Store,
  type StoredDetail,
  StoreError,
  type TaskFilter,
} from './port.ts';
import { type StoreSizes, storeSizes } from './sizes.ts';

/** What a batch may have beside the records that it was made for. */
const ownBytes = 64 * 1024;
const keptWriterBytes = 1024 * 1024;

interface JournalStoreParts {
  readonly book: Book;
  /** Called first. */
  readonly prepare?: () => void;
  /** Opens the journal beside a book that stands there. */
  readonly openJournal: (position: BookPosition | undefined) => Promise<Journal>;
  readonly sizes?: StoreSizes;
}

export class JournalStore implements Store {
  readonly #parts: JournalStoreParts;
  readonly #sizes: StoreSizes;
  #journal!: Journal;
  #feed!: BookFeed;
  readonly #live = new LiveState();
  /** For batches to come; each is in use from a commit's beginning to its end. */
  readonly #writers: Writer[] = [];
  #inFlightBytes = 0;
  /** Of the batch that was made last. */
  #sequence = 0;
  /** Batches are written one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #failure: StoreError | undefined;
  #closed = false;

  constructor(parts: JournalStoreParts) {
    this.#parts = parts;
    this.#sizes = parts.sizes ?? storeSizes;
  }

  async load(options: LoadOptions): Promise<Loaded> {
    try {
      const { book, openJournal, prepare } = this.#parts;
      prepare?.();
      const read = await book.open();
      const position = await book.checkpoint(); // what was just read may stand in the page cache only
      if (read !== undefined && position === undefined)
        throw new StoreError('store_unavailable', 'Another program reads the book. Close it, and start again.');
      this.#journal = await openJournal(position);
      this.#feed = new BookFeed(book, this.#sizes, position?.sequence ?? 0, (error) => this.fail(error));
      this.#journal.hold('store', this.#journal.first);
      await this.#replay(position?.sequence ?? 0);
      await this.#feed.flush();
      if (this.#failure !== undefined) throw this.#failure;
      return await this.#loaded(options);
    } catch (error) {
      throw this.fail(error as Error);
    }
  }

  async commit(records: readonly JournalRecord[]): Promise<void> {
    for (const record of records)
      if (record.kind === 'submitted')
        assert(this.#live.task(record.spec.id) === undefined, `task ${record.spec.id} lives`);
    await this.#append(records);
  }

  get room(): Room {
    if (this.#feed.blocked) return { bytes: 0, full: true };
    return { bytes: this.#bodyRoom - ownBytes, full: this.#journal.space.full || this.#feed.full };
  }

  /** Of the next batch. */
  get #bodyRoom(): number {
    return Math.min(this.#journal.bodyBytesMax, this.#journal.roomAfter(this.#inFlightBytes));
  }

  async makeRoom(bytes: number): Promise<void> {
    try {
      await this.#journal.makeRoom(bytes + ownBytes);
    } catch (error) {
      throw this.fail(error as Error);
    }
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    const live = this.#live.task(id);
    const recent = this.#feed.byId.get(id);
    const task = live === undefined ? recent : { ...live, result: undefined };
    return task === undefined ? this.#parts.book.show(id) : { ...task, attempts: await this.#attempts(task) };
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    const found = new Map<string, TaskState>();
    const unknown: string[] = [];
    for (const id of ids) {
      const task = this.#live.task(id) ?? this.#feed.byId.get(id);
      if (task === undefined) unknown.push(id);
      else found.set(id, task.state);
    }
    if (unknown.length === 0) return found;
    return new Map([...found, ...(await this.#parts.book.states(unknown))]);
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    // Memory first, and copied: what moves into the book meanwhile is then seen twice, never not at all.
    const memory = listed([...this.#live.durable.tasks.values(), ...this.#feed.tasks.values()], filter);
    const found = new Map((await this.#parts.book.list(filter)).map((task) => [task.seq, task]));
    for (const task of memory) found.set(task.seq, task);
    return [...found.values()].sort((a, b) => b.seq - a.seq).slice(0, filter.limit);
  }

  async purge(options: PurgeOptions): Promise<number> {
    await this.#feed.flush();
    const seqs = await this.#parts.book.expired(options);
    if (seqs.length > 0) {
      await this.#append([{ kind: 'purged', seqs }]);
      await this.#feed.flush();
    }
    return seqs.length;
  }

  async check(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#feed.retry();
    try {
      await this.#journal.check();
    } catch (error) {
      throw this.fail(error as Error);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#feed !== undefined && this.#failure === undefined) await this.#feed.flush();
    await this.#journal?.close();
    await this.#parts.book.close();
  }

  // ── writing ──

  async #append(records: readonly JournalRecord[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const sequence = ++this.#sequence;
    const writer = this.#writers.pop() ?? new Writer();
    let count = 0;
    const add = (record: JournalRecord): void => {
      count++;
      this.#live.fold(record, sequence, this.#feed);
      writeRecord(writer, record);
    };
    for (const record of this.#live.missing()) add(record);
    for (const record of records) add(record);
    this.#rewrite(writer, add);
    const bytes = writer.length;
    const entered = this.#feed.cut(bytes);
    this.#inFlightBytes += bytes;
    const needed = Math.min(this.#live.oldest?.batch ?? sequence, this.#feed.needed);
    const written = this.#writing.then(async () => {
      await this.#write(writer, count, sequence);
      // Not before: what this batch has written again must be in the journal when a floor lets go of what it replaces.
      this.#journal.hold('store', needed);
      const { epoch, storeId, synced } = this.#journal;
      entered({ storeId, epoch, sequence, crc: synced.crc });
    });
    this.#writing = written.catch(() => {}); // thrown here:
    await written;
  }

  async #write(writer: Writer, records: number, sequence: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await this.#feed.room();
      const appended = await this.#journal.append([writer.written], records, sequence);
      if (appended !== 'committed')
        throw new StoreError(appended === 'full' ? 'store_full' : 'store_failed', `The journal answered ${appended}.`);
    } catch (error) {
      throw this.fail(error as Error);
    }
    this.#inFlightBytes -= writer.length;
    if (writer.length <= keptWriterBytes) this.#writers.push(writer);
    writer.clear();
  }

  /** Writes again what lives in the oldest segment, as many bytes as the batch has, while the journal is too large. */
  #rewrite(writer: Writer, add: (record: JournalRecord) => void): void {
    const { usedBytes, oldestLast, full } = this.#journal.space;
    // On a full disk space is had by this only.
    if (usedBytes <= Math.max(full ? 0 : this.#sizes.idleBytes, 2 * this.#live.bytes)) return;
    const room = this.#bodyRoom;
    const most = Math.min(room, 2 * Math.max(4096, Math.ceil(writer.length / 4096) * 4096));
    for (let { oldest } = this.#live; oldest !== undefined; { oldest } = this.#live) {
      if (oldest.batch > oldestLast || writer.length >= most) return;
      const record = this.#live.fullRecord(oldest.key);
      if (writer.length + bytesOf(record) > room) return;
      add(record);
    }
  }

  async #replay(inBook: number): Promise<void> {
    this.#sequence = this.#journal.synced.sequence;
    for await (const { sequence, epoch, crc, body } of this.#journal.read(this.#journal.first)) {
      const isNew = sequence > inBook;
      const ends = isNew ? this.#feed : undefined;
      for (const reader = new Reader(body); !reader.done; ) this.#live.fold(readOwnRecord(reader), sequence, ends);
      if (!isNew) continue;
      this.#feed.cut(body.length)({ storeId: this.#journal.storeId, epoch, sequence, crc });
      await this.#feed.room();
    }
  }

  async #loaded(options: LoadOptions): Promise<Loaded> {
    const { durable } = this.#live;
    const newest = await this.#parts.book.newest(options.wallMs, options.idsAheadMax + 1);
    const tasks = [...durable.tasks.values()].sort((a, b) => a.seq - b.seq);
    durable.nextSeq = Math.max(durable.nextSeq, newest.seq + 1);
    const { nextSeq, settings } = durable;
    return {
      epoch: this.#journal.epoch,
      tasks,
      settings: new Map(settings),
      nextSeq,
      ...newestOf(newest, tasks, options),
    };
  }

  // ── reading ──

  /** Those that had ended when the task was as it is given. */
  async #attempts({ seq, attempt: latest, state }: StoredTask): Promise<readonly AttemptRecord[]> {
    const recent = [...(this.#feed.attemptsOf(seq) ?? [])];
    const byNumber = new Map((await this.#parts.book.attempts(seq)).map((attempt) => [attempt.attempt, attempt]));
    for (const attempt of recent) byNumber.set(attempt.attempt, attempt);
    const ended = state === 'in_progress' ? latest - 1 : latest;
    return [...byNumber.values()].filter(({ attempt }) => attempt <= ended).sort((a, b) => a.attempt - b.attempt);
  }

  /** Something failed outside a request: every later one is refused. */
  fail(error: Error): StoreError {
    this.#failure ??= explainPart(error);
    return this.#failure;
  }
}
