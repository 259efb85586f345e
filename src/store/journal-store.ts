/**
 * The store on a journal and a book. What is committed is appended to the journal, synced, and folded into what lives;
 * what has ended goes on to the book. Space in the journal is had back by writing again what lives in its oldest segment.
 */
import assert from 'node:assert/strict';
import type { Book, BookPosition } from '../book/port.ts';
import { Reader, Writer } from '../core/bytes.ts';
import type { AttemptRecord, JournalRecord, RecordOf, StoredTask, StoreRecord } from '../core/record.ts';
import { readOwnRecord, storeLevel, writeRecord } from '../core/record-bytes.ts';
import { type Durable, type DurableTask, fullRecord, newDurable, replay } from '../core/replay.ts';
import type { Journal } from '../journal/port.ts';
import { isEnded, type TaskState } from '../protocol/state.ts';
import { BookFeed } from './book-feed.ts';
import { explainedBook } from './explained-book.ts';
import { explainPart } from './journal-error.ts';
import { listed } from './listing.ts';
import { Living, type LivingKey } from './living.ts';
import { newestOf } from './newest.ts';
import {
  type Loaded,
  type LoadOptions,
  type PurgeOptions,
  type Store,
  type StoredDetail,
  StoreError,
  type TaskFilter,
} from './port.ts';
import { type StoreSizes, storeSizes } from './sizes.ts';

const counterKey = 'counter';
const levelKey = 'level';
const settingKey = (key: string): string => `setting ${key}`;
/** Bytes of a full record beside its payload, about. */
const fullBytes = 300;

interface JournalStoreParts {
  readonly book: Book;
  /** Opens the journal beside a book that stands there. */
  readonly openJournal: (position: BookPosition | undefined) => Promise<Journal>;
  readonly sizes?: StoreSizes;
}

export class JournalStore implements Store {
  readonly #parts: JournalStoreParts;
  /** For what is asked of it; the feed has its own way with what goes wrong. */
  readonly #book: Book;
  readonly #sizes: StoreSizes;
  #journal!: Journal;
  #feed!: BookFeed;
  readonly #durable: Durable = newDurable();
  readonly #seqOf = new Map<string, number>();
  readonly #living = new Living();
  readonly #writer = new Writer();
  #payloadBytes = 0;
  /** Of the batch that was made last. */
  #sequence = 0;
  /** Batches are written one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #failure: StoreError | undefined;
  #closed = false;

  constructor(parts: JournalStoreParts) {
    this.#parts = parts;
    this.#book = explainedBook(parts.book);
    this.#sizes = parts.sizes ?? storeSizes;
  }

  async load(options: LoadOptions): Promise<Loaded> {
    try {
      const { book, openJournal } = this.#parts;
      await this.#book.open();
      const position = await this.#book.checkpoint(); // what was just read may stand in the page cache only
      this.#journal = await openJournal(position);
      this.#feed = new BookFeed(book, this.#sizes, position?.sequence ?? 0, (error) => this.fail(error));
      this.#journal.hold('store', this.#journal.first);
      await this.#replay(position?.sequence ?? 0);
      await this.#feed.flush();
      await this.check();
      return await this.#loaded(options);
    } catch (error) {
      throw this.fail(error as Error);
    }
  }

  async commit(records: readonly StoreRecord[]): Promise<void> {
    for (const record of records)
      if (record.kind === 'submitted') assert(!this.#seqOf.has(record.spec.id), `task ${record.spec.id} lives already`);
    await this.#append(records);
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    const seq = this.#seqOf.get(id);
    const live = seq === undefined ? undefined : this.#durable.tasks.get(seq);
    const recent = seq === undefined ? this.#feed.byId.get(id) : undefined;
    const task = live === undefined ? recent : { ...live, result: undefined };
    return task === undefined ? this.#book.show(id) : { ...task, attempts: await this.#attempts(task) };
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    const found = new Map<string, TaskState>();
    const unknown: string[] = [];
    for (const id of ids) {
      const task = this.#durable.tasks.get(this.#seqOf.get(id) ?? -1) ?? this.#feed.byId.get(id);
      if (task === undefined) unknown.push(id);
      else found.set(id, task.state);
    }
    if (unknown.length === 0) return found;
    return new Map([...found, ...(await this.#book.states(unknown))]);
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    // Memory first, and copied: what moves into the book meanwhile is then seen twice, never not at all.
    const memory = listed([...this.#durable.tasks.values(), ...this.#feed.tasks.values()], filter);
    const found = new Map((await this.#book.list(filter)).map((task) => [task.seq, task]));
    for (const task of memory) found.set(task.seq, task);
    return [...found.values()].sort((a, b) => b.seq - a.seq).slice(0, filter.limit);
  }

  async purge(options: PurgeOptions): Promise<number> {
    await this.#feed.flush();
    await this.check();
    const seqs = await this.#book.expired(options);
    if (seqs.length > 0) {
      await this.#append([{ kind: 'purged', seqs }]);
      await this.#feed.flush();
      await this.check();
    }
    return seqs.length;
  }

  async check(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#feed !== undefined && this.#failure === undefined) await this.#feed.flush();
    await this.#journal?.close();
    await this.#book.close();
  }

  // ── writing ──

  async #append(records: readonly JournalRecord[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const sequence = ++this.#sequence;
    const writer = this.#writer;
    writer.clear();
    let count = 0;
    const add = (record: JournalRecord): void => {
      count++;
      this.#fold(record, sequence, true);
      writeRecord(writer, record);
    };
    if (!this.#living.has(levelKey)) add({ kind: 'level', level: storeLevel });
    for (const record of records) add(record);
    if (!this.#living.has(counterKey)) add({ kind: 'counted', nextSeq: this.#durable.nextSeq });
    count += this.#rewrite(writer, sequence);
    const entered = this.#feed.cut(writer.length);
    const body = new Uint8Array(writer.written); // a copy: the next commit may come before this one is written
    const needed = Math.min(this.#living.oldest?.batch ?? sequence, this.#feed.needed);
    const written = this.#writing.then(async () => {
      await this.#write(body, count, sequence);
      // Not before: what this batch has written again must be in the journal when a floor lets go of what it replaces.
      this.#journal.hold('store', needed);
      const { epoch, storeId, synced } = this.#journal;
      entered({ storeId, epoch, sequence, crc: synced.crc });
    });
    this.#writing = written.catch(() => {}); // thrown here:
    await written;
  }

  async #write(body: Uint8Array, records: number, sequence: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await this.#feed.room();
      const appended = await this.#journal.append([body], records, sequence);
      if (appended !== 'committed')
        throw new StoreError(appended === 'full' ? 'store_full' : 'store_failed', `The journal answered ${appended}.`);
    } catch (error) {
      throw this.fail(error as Error);
    }
  }

  /** Writes again what lives in the oldest segment, as many bytes as the batch has, while the journal is too large. */
  #rewrite(writer: Writer, sequence: number): number {
    const { usedBytes, oldestLast } = this.#journal.space;
    if (usedBytes <= Math.max(this.#sizes.idleBytes, 2 * this.#aliveBytes)) return 0;
    const most = 2 * Math.max(4096, Math.ceil(writer.length / 4096) * 4096);
    for (let count = 0; ; count++) {
      const { oldest } = this.#living;
      if (oldest === undefined || oldest.batch > oldestLast || writer.length >= most) return count;
      const record = this.#fullRecordOf(oldest.key);
      const { length } = writer;
      writeRecord(writer, record);
      if (writer.length > this.#journal.bodyBytesMax) {
        writer.truncate(length); // a later batch has room for it
        return count;
      }
      this.#fold(record, sequence, true);
    }
  }

  get #aliveBytes(): number {
    return this.#payloadBytes + this.#living.size * fullBytes;
  }

  #fullRecordOf(key: LivingKey): JournalRecord {
    if (typeof key === 'number') return fullRecord(this.#durable.tasks.get(key)!);
    if (key === counterKey) return { kind: 'counted', nextSeq: this.#durable.nextSeq };
    if (key === levelKey) return { kind: 'level', level: storeLevel };
    const name = key.slice(settingKey('').length);
    return { kind: 'setting', namespace: 'default', key: name, value: this.#durable.settings.get(name)! };
  }

  // ── folding: what is written and what is read back go the same way ──

  /** @param isNew whether it is not in the book yet. */
  #fold(record: JournalRecord, sequence: number, isNew: boolean): void {
    const seq = 'seq' in record ? record.seq : undefined;
    const before = seq === undefined ? undefined : this.#durable.tasks.get(seq);
    replay(this.#durable, record);
    switch (record.kind) {
      case 'submitted':
      case 'task':
        if (before === undefined) this.#payloadBytes += record.spec.payload.length;
        this.#seqOf.set(record.spec.id, record.seq);
        return this.#living.written(record.seq, sequence);
      case 'moved':
        if (before !== undefined && isEnded(record.state)) this.#end(before, record, sequence, isNew);
        return;
      case 'attempt':
        if (isNew) this.#feed.attempt(record);
        return;
      case 'purged':
        if (isNew) this.#feed.purge(record);
        return;
      case 'setting':
        if (record.value === undefined) this.#living.ended(settingKey(record.key));
        else this.#living.written(settingKey(record.key), sequence);
        return;
      case 'counted':
        return this.#living.written(counterKey, sequence);
      case 'level':
        if (record.level > storeLevel)
          throw new StoreError(
            'store_newer',
            `The journal has level ${record.level}; this deye knows up to ${storeLevel}. Start the newer deye that wrote it.`,
          );
        return this.#living.written(levelKey, sequence);
    }
  }

  #end(task: DurableTask, moved: RecordOf<'moved'>, sequence: number, isNew: boolean): void {
    this.#payloadBytes -= task.spec.payload.length;
    this.#seqOf.delete(task.spec.id);
    const full = this.#living.ended(task.seq);
    if (isNew) this.#feed.end(task, moved, sequence, full ?? sequence);
  }

  async #replay(inBook: number): Promise<void> {
    this.#sequence = this.#journal.synced.sequence;
    for await (const { sequence, epoch, crc, body } of this.#journal.read(this.#journal.first)) {
      const isNew = sequence > inBook;
      for (const reader = new Reader(body); !reader.done; ) this.#fold(readOwnRecord(reader), sequence, isNew);
      if (!isNew) continue;
      this.#feed.cut(body.length)({ storeId: this.#journal.storeId, epoch, sequence, crc });
      await this.#feed.room();
    }
  }

  async #loaded(options: LoadOptions): Promise<Loaded> {
    const newest = await this.#book.newest(options.wallMs, options.idsAheadMax + 1);
    const tasks = [...this.#durable.tasks.values()].sort((a, b) => a.seq - b.seq);
    const nextSeq = Math.max(this.#durable.nextSeq, newest.seq + 1);
    this.#durable.nextSeq = nextSeq;
    const settings = new Map(this.#durable.settings);
    return { epoch: this.#journal.epoch, tasks, settings, nextSeq, ...newestOf(newest, tasks, options) };
  }

  // ── reading ──

  /** Those that had ended when the task was as it is given. */
  async #attempts({ seq, attempt: latest, state }: StoredTask): Promise<readonly AttemptRecord[]> {
    const recent = [...(this.#feed.attemptsOf(seq) ?? [])];
    const byNumber = new Map((await this.#book.attempts(seq)).map((attempt) => [attempt.attempt, attempt]));
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
