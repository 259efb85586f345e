/**
 * The store on a journal and a book. What is committed is appended to the journal, synced, and folded into what lives;
 * what has ended goes on to the book. Space in the journal is had back by writing again what lives in its oldest segment.
 */
import assert from 'node:assert/strict';
import type { Book, BookPosition, Expiry } from '../book/port.ts';
import { present } from '../core/body.ts';
import type { Expired } from '../core/expire.ts';
import type { JournalRecord, StoredTask } from '../core/record.ts';
import { fullRecord } from '../core/replay.ts';
import type { RecoveryWatch } from '../journal/open.ts';
import type { Journal } from '../journal/port.ts';
import type { Sync } from '../protocol/schema.ts';
import { isEnded, type TaskState } from '../protocol/state.ts';
import { Batches, type Rewrite } from './batches.ts';
import { BookFeed } from './book-feed.ts';
import { explainedBook, openSafe } from './explained-book.ts';
import { explainPart, type Loss, lossOf } from './journal-error.ts';
import { LiveState } from './live-state.ts';
import { newestOf } from './newest.ts';
import { lostPayload, Payloads, type Place, type ReadBody, readBody } from './payloads.ts';
import type { Loaded, LoadOptions, Room, Store, StoredDetail, StoreError, TaskFilter } from './port.ts';
import { Reads } from './reads.ts';
import { RecoveryReport } from './recovery-report.ts';
import { replayJournal } from './replay-journal.ts';
import { type Content, contentOf } from './rescue.ts';
import { Rewriting } from './rewriting.ts';
import { type StoreSizes, storeSizes } from './sizes.ts';
import { Upkeep } from './upkeep.ts';

const nothingExpired: Expired = { tasks: [], bodies: [], beforeMs: 0 };

interface JournalStoreParts {
  readonly book: Book;
  /** Of its files, where it has some. */
  readonly directory?: string | undefined;
  /** Called first. */
  readonly prepare?: () => void;
  /** Opens the journal beside a book that stands there. */
  readonly openJournal: (position: BookPosition | undefined, watch: RecoveryWatch) => Promise<Journal>;
  readonly sizes?: StoreSizes;
  /** Default: `batch`. */
  readonly sync?: Sync;
  /** Saves what was acknowledged when the files are gone; answers with what to do. */
  readonly rescue?: (lost: string, how: Loss, content: Content) => Promise<StoreError>;
}

export class JournalStore implements Store {
  readonly #parts: JournalStoreParts;
  /** For what is asked of it; the feed has its own way with what goes wrong. */
  readonly #book: Book;
  readonly #sizes: StoreSizes;
  #journal!: Journal;
  #feed!: BookFeed;
  #live = new LiveState(new Payloads(Number.POSITIVE_INFINITY));
  #payloads!: Payloads;
  #rewriting!: Rewriting;
  #reads!: Reads;
  #bodyReads = 0;
  /** Places whose bytes are not what was written. */
  readonly #damaged = new Set<Place>();
  #bodyDamaged: (id: string) => void = () => {};
  #batches!: Batches;
  #upkeep: Upkeep | undefined;
  #rescued: Promise<StoreError> | undefined;
  #failure: StoreError | undefined;
  /** Somebody has got the failure. */
  #isTold = false;
  #closed = false;

  constructor(parts: JournalStoreParts) {
    this.#parts = parts;
    this.#book = explainedBook(parts.book, parts.directory);
    this.#sizes = parts.sizes ?? storeSizes;
  }

  async load(options: LoadOptions): Promise<Loaded> {
    try {
      const { book, openJournal, prepare } = this.#parts;
      prepare?.();
      const position = await openSafe(book);
      const { payloadsBytesMax = Number.POSITIVE_INFINITY, bodyDamaged = () => {} } = options;
      this.#payloads = new Payloads(payloadsBytesMax);
      this.#live = new LiveState(this.#payloads);
      const read: ReadBody = (id, place) => this.#read(id, place);
      this.#rewriting = new Rewriting(this.#live, this.#payloads, read, (error) => this.fail(error));
      this.#bodyDamaged = bodyDamaged;
      const report = new RecoveryReport(options);
      this.#journal = await openJournal(position, report);
      this.#feed = new BookFeed({
        book,
        sizes: this.#sizes,
        position: position?.sequence ?? 0,
        read,
        failed: (error) => this.fail(error),
      });
      this.#reads = new Reads({ book: this.#book, live: this.#live, payloads: this.#payloads, feed: this.#feed, read });
      this.#journal.hold('store', this.#journal.first);
      const [journal, live, feed, rewriting] = [this.#journal, this.#live, this.#feed, this.#rewriting];
      await replayJournal({ journal, live, feed, report, inBook: position?.sequence ?? 0 });
      this.#batches = new Batches({ journal, live, feed, rewriting, sizes: this.#sizes });
      this.#upkeep = this.#newUpkeep();
      report.entering();
      await this.#flush();
      report.entered(this.#feed.full);
      return await this.#loaded(options);
    } catch (error) {
      throw this.#refuse(error as Error);
    }
  }

  async commit(records: readonly JournalRecord[]): Promise<void> {
    for (const record of records)
      if (record.kind === 'submitted') assert(!this.#live.has(record.spec.id), `task ${record.spec.id} lives`);
    await this.#append(this.#damaged.size === 0 ? records : records.flatMap((record) => this.#withoutDamage(record)));
  }

  async #append(records: readonly JournalRecord[], rewrite?: Rewrite): Promise<void> {
    if (this.#failure !== undefined) throw await this.#refusal(this.#failure);
    this.#upkeep?.look();
    try {
      await this.#batches.append(records, rewrite);
    } catch (error) {
      throw await this.#refusal(await this.#lost(error as Error));
    }
  }

  get room(): Room {
    return this.#batches.room;
  }

  /** Call when the journal has synced more. */
  synced(): void {
    this.#batches?.synced();
  }

  async makeRoom(bytes: number): Promise<void> {
    try {
      await this.#batches.makeRoom(bytes);
    } catch (error) {
      throw await this.#refusal(await this.#lost(error as Error));
    }
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    return this.#reads.show(id);
  }

  async payload(id: string): Promise<Uint8Array | undefined> {
    const task = this.#live.task(id);
    if (task === undefined) return undefined;
    const place = this.#payloads.place(task.seq);
    return place === undefined ? present(task.spec.payload) : this.#read(id, place);
  }

  async #read(id: string, place: Place): Promise<Uint8Array | undefined> {
    if (place.batch > this.#journal.last.sequence) await this.#batches.written;
    const hold = `body ${++this.#bodyReads}`;
    this.#journal.hold(hold, place.batch);
    const bytes = await readBody(this.#journal, place).finally(() => this.#journal.hold(hold, undefined));
    if (bytes !== undefined) return bytes;
    this.#damaged.add(place);
    this.#bodyDamaged(id);
    return undefined;
  }

  /** The end of a task whose payload cannot be read carries all that its row needs, so that nothing holds what is damaged. */
  #withoutDamage(record: JournalRecord): readonly JournalRecord[] {
    if (record.kind !== 'moved' || !isEnded(record.state)) return [record];
    const place = this.#payloads.place(record.seq);
    if (place === undefined || !this.#damaged.delete(place)) return [record];
    const task = this.#live.durable.tasks.get(record.seq)!;
    return [{ ...fullRecord(task), spec: { ...task.spec, payload: lostPayload } }, record];
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    return this.#reads.states(ids);
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    return this.#reads.list(filter);
  }

  async expired(expiry: Expiry): Promise<Expired> {
    await this.#feed.entered(); // what is being deleted would be found once more
    return this.#feed.full ? nothingExpired : this.#book.expired(expiry);
  }

  shrink(): Promise<boolean> {
    return this.#feed.shrink().catch((error: Error) => {
      throw explainPart(error, this.#parts.directory);
    });
  }

  async #flush(): Promise<void> {
    await this.#feed.flush();
    if (this.#failure !== undefined) throw this.#failure;
  }

  readonly status: Store['status'] = () => this.#upkeep!.status();
  readonly backup: Store['backup'] = (...how) => this.#upkeep!.backup(...how);
  readonly compact: Store['compact'] = (options = {}) => this.#upkeep!.compact(options);

  async check(): Promise<void> {
    if (this.#failure !== undefined) throw await this.#refusal(this.#failure);
    this.#upkeep?.look();
    try {
      await this.#journal.check();
      await this.#parts.book.check();
      if (this.room.full && this.#batches.isIdle) await this.#upkeep?.relieve();
    } catch (error) {
      throw await this.#refusal(await this.#lost(error as Error));
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#upkeep?.close();
    try {
      // Files that were lost without notice are saved, and what failed without notice is reported.
      if (this.#batches !== undefined && !this.#isTold) {
        if (this.#failure === undefined) await this.#feed.flush();
        await this.check();
      }
    } finally {
      await Promise.resolve(this.#journal?.close()).finally(() => this.#book.close());
    }
  }

  #newUpkeep(): Upkeep {
    const { directory, sync = 'batch' } = this.#parts;
    const [book, journal, live, feed] = [this.#book, this.#journal, this.#live, this.#feed];
    return new Upkeep({
      ...{ book, directory, sync, journal, live, feed, rewriting: this.#rewriting, payloads: this.#payloads },
      append: (rewrite) => this.#append([], rewrite),
      boundBytes: () => Math.max(this.#sizes.idleBytes, 2 * live.bytes),
      room: () => this.room,
    });
  }

  async #loaded(options: LoadOptions): Promise<Loaded> {
    const { durable } = this.#live;
    const newest = await this.#book.newest(options.wallMs, options.idsAheadMax + 1);
    const tasks = [...durable.tasks.values()].sort((a, b) => a.seq - b.seq);
    durable.nextSeq = Math.max(durable.nextSeq, newest.seq + 1);
    const { nextSeq, expiredBeforeMs, settings } = durable;
    return {
      epoch: this.#journal.epoch,
      sync: this.#parts.sync ?? 'batch',
      tasks,
      settings: new Map(settings),
      nextSeq,
      expiredBeforeMs,
      ...newestOf(newest, [...tasks, ...this.#feed.tasks.values()], options), // on a full disk some stay in the feed
    };
  }

  /** As `#refuse`; where the files are gone, what was acknowledged is saved first. */
  #lost(error: Error): Promise<StoreError> {
    const { rescue } = this.#parts;
    const loss = lossOf(error);
    const failure = this.#refuse(error);
    if (loss === undefined || rescue === undefined) return Promise.resolve(failure);
    this.#rescued ??= this.#feed.flush().then(() => rescue(error.message, loss, this.#content()));
    return this.#rescued.then((saved) => {
      this.#failure = saved;
      return saved;
    });
  }

  #content(): Content {
    const { epoch } = this.#journal;
    return contentOf({
      live: this.#live,
      feed: this.#feed,
      payload: (id) => this.payload(id),
      read: (id, place) => this.#read(id, place),
      epoch,
      copyBook: (path) => this.#parts.book.copyTo(path),
    });
  }

  /** Something failed outside a request: every later one is refused. What was acknowledged is saved where files are gone. */
  fail(error: Error): void {
    if (this.#upkeep === undefined) this.#refuse(error);
    else void this.#lost(error);
  }

  async #refusal(failure: StoreError): Promise<StoreError> {
    this.#isTold = true;
    return (await this.#rescued) ?? failure;
  }

  #refuse(error: Error): StoreError {
    this.#failure ??= explainPart(error, this.#parts.directory);
    return this.#failure;
  }
}
