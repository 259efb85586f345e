/** A whole store over the twins of its disk and its book. */
import { openJournal } from '../../src/journal/open.ts';
import type { Journal } from '../../src/journal/port.ts';
import { JournalStore } from '../../src/store/journal-store.ts';
import type { Loaded } from '../../src/store/port.ts';
import { type StoreSizes, storeSizes } from '../../src/store/sizes.ts';
import { witnessesOf } from '../../src/store/witnesses.ts';
import { dice } from '../journal/history.ts';
import { BookTwin, type BookTwinNature } from '../twins/book.ts';
import { DiskTwin } from '../twins/disk.ts';

export interface TwinStoreOptions {
  readonly segmentBytes: number;
  readonly sizes: Partial<StoreSizes>;
  /** Between 0 and 1. */
  readonly chance: () => number;
  readonly tick: (work: string) => void;
  readonly book: Omit<BookTwinNature, 'tick'>;
  readonly later: (run: () => void) => void;
  readonly cut: (sequence: number, bytes: number) => void;
  /** Default: `batch`. */
  readonly sync?: 'batch' | number;
}

/** Small enough that segments are released, and the book made safe, after a few commits. */
export const smallSizes = (segmentBytes: number): Partial<StoreSizes> => ({
  idleBytes: 2 * segmentBytes,
  gatherMs: 0,
  applyBytes: 8 * 1024,
  checkpointBytes: 8 * 1024,
  deletedBytes: 4096,
  backlogBytes: 24 * 1024,
});

/** The store of one process; `journal` is there once it is loaded. */
export function storeOn(
  disk: DiskTwin,
  book: BookTwin,
  { segmentBytes, sizes, chance, tick, book: nature, later, cut, sync = 'batch' }: TwinStoreOptions,
): { readonly store: JournalStore; readonly journal: () => Journal } {
  let journal: Journal | undefined;
  const store: JournalStore = new JournalStore({
    book: book.attach({ ...nature, tick }),
    openJournal: async (position) => {
      journal = await openJournal({
        disk: disk.attach({ tick, chance }),
        segmentBytes,
        sync,
        sealMs: 100,
        later: (_ms, run) => later(run),
        wallMs: () => 0,
        randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)),
        failed: (error) => store.fail(error),
        synced: () => store.synced(),
        witnesses: witnessesOf('here', position),
        cut: (sequence, bytes) => cut(sequence, bytes),
      });
      return journal;
    },
    sizes: { ...storeSizes, ...sizes },
  });
  return { store, journal: () => journal! };
}

/** A store that a test leads by the hand: nothing dies by itself. */
export class StoreBench {
  readonly segmentBytes = 12 * 4096;
  disk = new DiskTwin();
  book = new BookTwin();
  store!: JournalStore;
  journal!: Journal;
  loaded!: Loaded;
  /** Called before every piece of work of the disk and the book. */
  tick: (work: string) => void = () => {};
  isFull = false;
  readonly sizes: Partial<StoreSizes>;
  readonly #chance: () => number;
  #stalled = false;
  #waiting: (() => void)[] = [];
  #timers: (() => void)[] = [];

  constructor(sizes: Partial<StoreSizes> = {}, seed = 1) {
    this.#chance = dice(seed);
    this.sizes = { ...smallSizes(this.segmentBytes), ...sizes };
  }

  async start(): Promise<this> {
    this.#timers = [];
    const { store, journal } = storeOn(this.disk, this.book, {
      segmentBytes: this.segmentBytes,
      sizes: this.sizes,
      chance: this.#chance,
      tick: (work) => this.tick(work),
      book: {
        wait: () => (this.#stalled ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()),
        isFull: () => this.isFull,
      },
      later: (run) => this.#timers.push(run),
      cut: () => {},
    });
    this.loaded = await store.load({ wallMs: 2_000_000_000_000, idsAheadMax: 100 });
    this.store = store;
    this.journal = journal();
    return this;
  }

  /** The book does nothing until it is let go. */
  stall(): void {
    this.#stalled = true;
  }

  /** Lets so many pieces of the book's work go, the oldest first; all, and the later ones, without a number. */
  async letGo(count?: number): Promise<void> {
    if (count === undefined) this.#stalled = false;
    for (const go of this.#waiting.splice(0, count ?? this.#waiting.length)) go();
    await turn();
  }

  async runTimers(): Promise<void> {
    for (const run of this.#timers.splice(0)) run();
    await turn();
  }

  kill(): void {
    this.disk.kill();
    this.book.kill();
    this.#waiting = [];
  }

  /** Nothing is left of what was not synced. */
  cutPower(): void {
    this.disk.cutPower(() => 0);
    this.book.cutPower(() => 0);
    this.#waiting = [];
  }
}

/** What is ready goes on. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
