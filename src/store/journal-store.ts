/**
 * The store on a journal and a book. What is committed is appended to the journal, synced, and folded into what lives;
 * what has ended goes on to the book. Space in the journal is had back by writing again what lives in its oldest segment.
 */
import assert from 'node:assert/strict';
import type { Book, BookPosition, Expiry } from '../book/port.ts';
import { Reader, Writer } from '../core/bytes.ts';
import type { Expired } from '../core/expire.ts';
import type { AttemptRecord, JournalRecord, RecordOf, StoredTask, StoreRecord } from '../core/record.ts';
import { readRecord, storeLevel, writeRecord } from '../core/record-bytes.ts';
import { type Durable, type DurableTask, fullRecord, newDurable, replay } from '../core/replay.ts';
import type { Journal } from '../journal/port.ts';
import { isEnded, type TaskState } from '../protocol/state.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import { BookFeed } from './book-feed.ts';
import { explainPart } from './journal-error.ts';
import { Living, type LivingKey } from './living.ts';
import { type Loaded, type LoadOptions, type Store, type StoredDetail, StoreError, type TaskFilter } from './port.ts';

const noPayload = new Uint8Array(0);
const counterKey = 'counter';
const levelKey = 'level';
const expiredKey = 'expired';
const settingKey = (key: string): string => `setting ${key}`;
/** Bytes of a full record beside its payload, about; and the size up to which the journal is left alone. */
const fullBytes = 300;
const idleBytes = 256 * 1024 * 1024;

interface JournalStoreParts {
  readonly book: Book;
  /** Opens the journal beside a book that stands there. */
  readonly openJournal: (position: BookPosition | undefined) => Promise<Journal>;
}

export class JournalStore implements Store {
  readonly #parts: JournalStoreParts;
  #journal!: Journal;
  #feed!: BookFeed;
  readonly #durable: Durable = newDurable();
  readonly #seqOf = new Map<string, number>();
  readonly #living = new Living();
  readonly #writer = new Writer();
  #payloadBytes = 0;
  /** Of the batch that was made last. */
  #sequence = 0;
  #failure: StoreError | undefined;
  #closed = false;

  constructor(parts: JournalStoreParts) {
    this.#parts = parts;
  }

  async load(options: LoadOptions): Promise<Loaded> {
    try {
      const { book, openJournal } = this.#parts;
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

  async commit(records: readonly StoreRecord[]): Promise<void> {
    for (const record of records)
      if (record.kind === 'submitted') assert(!this.#seqOf.has(record.spec.id), `task ${record.spec.id} lives already`);
    await this.#append(records);
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    const seq = this.#seqOf.get(id);
    const live = seq === undefined ? undefined : this.#durable.tasks.get(seq);
    const recent = seq === undefined ? this.#feed.byId.get(id) : undefined;
    const task = live === undefined ? (recent ?? (await this.#parts.book.show(id))) : { ...live, result: undefined };
    return task === undefined ? undefined : { ...task, attempts: await this.#attempts(task.seq) };
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
    return new Map([...found, ...(await this.#parts.book.states(unknown))]);
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    // Memory first: what moves into the book meanwhile is then seen twice, never not at all.
    const memory = [...this.#durable.tasks.values(), ...this.#feed.tasks.values()].filter((task) => fits(task, filter));
    const newest = memory.sort((a, b) => b.seq - a.seq).slice(0, filter.limit);
    const found = new Map((await this.#parts.book.list(filter)).map((task) => [task.seq, task]));
    for (const task of newest) found.set(task.seq, withoutPayload(task));
    return [...found.values()].sort((a, b) => b.seq - a.seq).slice(0, filter.limit);
  }

  async expired(expiry: Expiry): Promise<Expired> {
    await this.#feed.entered(); // what is being deleted would be found once more
    return this.#parts.book.expired(expiry);
  }

  shrink(): Promise<boolean> {
    return this.#feed.shrink();
  }

  async check(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
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
    this.#rewrite(writer, add);
    const entered = this.#feed.cut();
    const body = writer.written.slice();
    await this.#feed.room();
    this.#journal.hold('store', Math.min(this.#living.oldest?.batch ?? sequence, this.#feed.needed));
    try {
      const appended = await this.#journal.append([body], count, sequence);
      if (appended !== 'committed')
        throw new StoreError(appended === 'full' ? 'store_full' : 'store_failed', `The journal answered ${appended}.`);
    } catch (error) {
      throw this.fail(error as Error);
    }
    const { epoch, storeId, synced } = this.#journal;
    entered({ storeId, epoch, sequence, crc: synced.crc });
  }

  /** Writes again what lives in the oldest segment, as many bytes as the batch has, while the journal is too large. */
  #rewrite(writer: Writer, add: (record: JournalRecord) => void): void {
    const { usedBytes, oldestLast } = this.#journal.space;
    if (usedBytes <= Math.max(idleBytes, 2 * this.#aliveBytes)) return;
    const most = 2 * Math.max(4096, Math.ceil(writer.length / 4096) * 4096);
    for (let { oldest } = this.#living; oldest !== undefined; { oldest } = this.#living) {
      if (oldest.batch > oldestLast || writer.length >= most) return;
      add(this.#fullRecordOf(oldest.key));
    }
  }

  get #aliveBytes(): number {
    return this.#payloadBytes + this.#living.size * fullBytes;
  }

  #fullRecordOf(key: LivingKey): JournalRecord {
    if (typeof key === 'number') return fullRecord(this.#durable.tasks.get(key)!);
    if (key === counterKey) return { kind: 'counted', nextSeq: this.#durable.nextSeq };
    if (key === expiredKey) return { kind: 'expired', beforeMs: this.#durable.expiredBeforeMs };
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
      case 'trimmed':
        if (isNew) this.#feed.delete(record);
        return;
      case 'expired':
        return this.#living.written(expiredKey, sequence);
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
      for (const reader = new Reader(body); !reader.done; ) this.#fold(owned(readRecord(reader)), sequence, isNew);
      if (!isNew) continue;
      this.#feed.cut()({ storeId: this.#journal.storeId, epoch, sequence, crc });
      await this.#feed.room();
    }
  }

  async #loaded({ wallMs, idsAheadMax }: LoadOptions): Promise<Loaded> {
    const newest = await this.#parts.book.newest(wallMs, idsAheadMax + 1);
    const tasks = [...this.#durable.tasks.values()].sort((a, b) => a.seq - b.seq);
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
    const nextSeq = Math.max(this.#durable.nextSeq, newest.seq + 1);
    this.#durable.nextSeq = nextSeq;
    const settings = new Map(this.#durable.settings);
    const { expiredBeforeMs } = this.#durable;
    return { epoch: this.#journal.epoch, newestAtMs, tasks, settings, nextSeq, expiredBeforeMs, newestId, idsAhead };
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
