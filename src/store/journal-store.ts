/**
 * The store on a journal and a book. What is committed is appended to the journal, synced, and folded into what lives;
 * what has ended goes on to the book. Space in the journal is had back by writing again what lives in its oldest segment.
 */
import assert from 'node:assert/strict';
import type { Book, BookPosition } from '../book/port.ts';
import { Reader, Writer } from '../core/bytes.ts';
import type { AttemptRecord, JournalRecord, StoredTask } from '../core/record.ts';
import { readRecord, writeRecord } from '../core/record-bytes.ts';
import { bytesOf } from '../core/record-size.ts';
import type { Journal } from '../journal/port.ts';
import type { TaskState } from '../protocol/state.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import { BookFeed } from './book-feed.ts';
import { explainPart } from './journal-error.ts';
import { LiveState } from './live-state.ts';
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

const noPayload = new Uint8Array(0);
/** What a batch may have beside the records that it was made for. */
const ownBytes = 64 * 1024;
const keptWriterBytes = 1024 * 1024;

interface JournalStoreParts {
  readonly book: Book;
  /** The size up to which the journal is left as it is, whatever it holds. */
  readonly idleBytes: number;
  /** Called first. */
  readonly prepare: () => void;
  /** Opens the journal beside a book that stands there. */
  readonly openJournal: (position: BookPosition | undefined) => Promise<Journal>;
}

export class JournalStore implements Store {
  readonly #parts: JournalStoreParts;
  #journal!: Journal;
  #feed!: BookFeed;
  readonly #live = new LiveState();
  /** For batches to come; each is in use from a commit's beginning to its end. */
  readonly #writers: Writer[] = [];
  #inFlightBytes = 0;
  /** Of the batch that was made last. */
  #sequence = 0;
  #failure: StoreError | undefined;
  #closed = false;

  constructor(parts: JournalStoreParts) {
    this.#parts = parts;
  }

  async load(options: LoadOptions): Promise<Loaded> {
    try {
      const { book, openJournal, prepare } = this.#parts;
      prepare();
      const position = await book.open();
      this.#journal = await openJournal(position);
      this.#feed = new BookFeed(book, position?.sequence ?? 0, (error) => this.fail(error));
      this.#journal.hold('store', this.#journal.first);
      await this.#replay(position?.sequence ?? 0);
      await this.#feed.flush();
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
    const { bodyBytesMax, space } = this.#journal;
    const isFull = space.full || this.#feed.full;
    if (this.#feed.blocked) return { bytes: 0, full: true };
    const bytes = Math.min(bodyBytesMax, this.#journal.roomAfter(this.#inFlightBytes));
    return { bytes: bytes - ownBytes, full: isFull };
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
    const task = live === undefined ? (recent ?? (await this.#parts.book.show(id))) : { ...live, result: undefined };
    return task === undefined ? undefined : { ...task, attempts: await this.#attempts(task.seq) };
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
    // Memory first: what moves into the book meanwhile is then seen twice, never not at all.
    const memory = [...this.#live.durable.tasks.values(), ...this.#feed.tasks.values()].filter((task) =>
      fits(task, filter),
    );
    const newest = memory.sort((a, b) => b.seq - a.seq).slice(0, filter.limit);
    const found = new Map((await this.#parts.book.list(filter)).map((task) => [task.seq, task]));
    for (const task of newest) found.set(task.seq, withoutPayload(task));
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
    const entered = this.#feed.cut();
    const bytes = writer.length;
    this.#inFlightBytes += bytes;
    await this.#feed.room();
    this.#journal.hold('store', Math.min(this.#live.oldest?.batch ?? sequence, this.#feed.needed));
    try {
      const appended = await this.#journal.append([writer.written], count, sequence);
      if (appended !== 'committed')
        throw new StoreError(appended === 'full' ? 'store_full' : 'store_failed', `The journal answered ${appended}.`);
    } catch (error) {
      throw this.fail(error as Error);
    }
    this.#inFlightBytes -= bytes;
    writer.clear();
    if (bytes <= keptWriterBytes) this.#writers.push(writer);
    const { epoch, storeId, synced } = this.#journal;
    entered({ storeId, epoch, sequence, crc: synced.crc });
  }

  /** Writes again what lives in the oldest segment, as many bytes as the batch has, while the journal is too large. */
  #rewrite(writer: Writer, add: (record: JournalRecord) => void): void {
    const { usedBytes, oldestLast, full } = this.#journal.space;
    // On a full disk space is had by this only.
    if (usedBytes <= Math.max(full ? 0 : this.#parts.idleBytes, 2 * this.#live.bytes)) return;
    const { bytes: room } = this.room;
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
      for (const reader = new Reader(body); !reader.done; ) this.#live.fold(owned(readRecord(reader)), sequence, ends);
      if (!isNew) continue;
      this.#feed.cut()({ storeId: this.#journal.storeId, epoch, sequence, crc });
      await this.#feed.room();
    }
  }

  async #loaded({ wallMs, idsAheadMax }: LoadOptions): Promise<Loaded> {
    const newest = await this.#parts.book.newest(wallMs, idsAheadMax + 1);
    const tasks = [...this.#live.durable.tasks.values()].sort((a, b) => a.seq - b.seq);
    const ahead = uuidFirst(wallMs + 1);
    let newestId = newest.id;
    let newestAtMs = newest.endedAtMs;
    const idsAhead = [...newest.idsAhead];
    for (const { spec, atMs } of tasks) {
      if (spec.id >= ahead) idsAhead.push(spec.id);
      else if (newestId === undefined || spec.id > newestId) newestId = spec.id;
      newestAtMs = Math.max(newestAtMs ?? 0, atMs);
    }
    // Too many to be told one by one: then the newest of them is where every look-up begins.
    if (idsAhead.length > idsAheadMax) newestId = idsAhead.splice(0).sort().at(-1);
    const nextSeq = Math.max(this.#live.durable.nextSeq, newest.seq + 1);
    this.#live.durable.nextSeq = nextSeq;
    const settings = new Map(this.#live.durable.settings);
    return { epoch: this.#journal.epoch, newestAtMs, tasks, settings, nextSeq, newestId, idsAhead };
  }

  // ── reading ──

  async #attempts(seq: number): Promise<readonly AttemptRecord[]> {
    const recent = this.#feed.attemptsOf(seq) ?? [];
    const byNumber = new Map((await this.#parts.book.attempts(seq)).map((attempt) => [attempt.attempt, attempt]));
    for (const attempt of recent) byNumber.set(attempt.attempt, attempt);
    return [...byNumber.values()].sort((a, b) => a.attempt - b.attempt);
  }

  /** Something failed outside a request: every later one is refused. */
  fail(error: Error): StoreError {
    this.#failure ??= explainPart(error);
    return this.#failure;
  }
}

const withoutPayload = (task: StoredTask): StoredTask => ({ ...task, spec: { ...task.spec, payload: noPayload } });

const fits = (task: StoredTask, { states, operation, collectorId, beforeSeq }: TaskFilter): boolean =>
  (states.length === 0 || states.includes(task.state)) &&
  (operation === undefined || task.spec.operation === operation) &&
  (collectorId === undefined || task.collectorId === collectorId) &&
  (beforeSeq === undefined || task.seq < beforeSeq);

/** A record that does not keep the bytes it was read from: they are those of a whole segment. */
function owned(record: JournalRecord): JournalRecord {
  if (record.kind === 'moved' && record.result !== undefined) return { ...record, result: record.result.slice() };
  if (record.kind !== 'submitted' && record.kind !== 'task') return record;
  return { ...record, spec: { ...record.spec, payload: new Uint8Array(record.spec.payload) } };
}
