/**
 * A random history of a whole store (the journal, the book, what lives, and the way from one to the other) whose process
 * and machine die: commits, several of them under way at once, reads while rows move, purges, timers, a book that stalls,
 * kills and power failures at any piece of work, and starts, from a seed. After every start, what was answered is there,
 * in memory or in the book, exactly; what was not answered is there whole, commit by commit in their order, or not at all.
 * With late syncs a power failure may take what was answered since the last one, from the end; nothing else takes any.
 */
import type { StoreRecord } from '../../src/core/record.ts';
import type { Journal } from '../../src/journal/port.ts';
import { isEnded } from '../../src/protocol/state.ts';
import type { JournalStore } from '../../src/store/journal-store.ts';
import type { StoredDetail, TaskFilter } from '../../src/store/port.ts';
import { deletionOf, expiryOf } from '../conformance/records.ts';
import { dice } from '../journal/history.ts';
import { BookTwin } from '../twins/book.ts';
import { DiskTwin, GoneError } from '../twins/disk.ts';
import {
  detailText,
  difference,
  type Expected,
  expectedAfter,
  expectedPurge,
  fitsFilter,
  nothingExpected,
  taskText,
} from './expected.ts';
import { smallSizes, storeOn, turn } from './twin-store.ts';
import { Workload } from './workload.ts';

export interface StoreHistoryOptions {
  readonly steps?: number;
  /** Chance that a piece of work of the disk or the book is the last one. */
  readonly deathRate?: number;
  readonly segmentBytes?: number;
  /** The disk is full for a while, now and then, and the book meets it first. */
  readonly fullBook?: boolean;
  /** A number: commits are answered before they are synced. */
  readonly sync?: 'batch' | number;
}

export interface StoreHistoryResult {
  readonly starts: number;
  readonly commits: number;
  readonly reads: number;
  readonly purged: number;
  readonly trimmed: number;
  /** Batches that left the journal. */
  readonly released: number;
  readonly checkpoints: number;
  /** Looks at a store that said that the disk is full. */
  readonly full: number;
  /** Commits that were answered and that a power failure took. */
  readonly lost: number;
  /** The largest size of the journal, in segments. */
  readonly segments: number;
  readonly trace: readonly string[];
}

const everything: TaskFilter = {
  ...{ states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 1_000_000 },
};

const noCounts = { starts: 0, commits: 0, reads: 0, purged: 0, trimmed: 0, released: 0, segments: 0, full: 0, lost: 0 };

export class StoreHistory {
  readonly #chance: () => number;
  readonly #options: Required<StoreHistoryOptions>;
  readonly #disk = new DiskTwin();
  readonly #book = new BookTwin();
  readonly #work: Workload;
  readonly trace: string[] = [];
  #store: JournalStore | undefined;
  #journal: Journal | undefined;
  /** The last state that was answered, and one for each commit after it, in their order. */
  #versions: Expected[] = [nothingExpected];
  #answered = 0;
  /** Answered commits that are not known to be synced: their number, a batch not before theirs, and the next `seq` then. */
  #unsynced: { readonly number: number; readonly sequence: number; readonly nextSeq: number }[] = [];
  /** As `#answered` and `#nextSeq`, of what is synced. */
  #safe = { number: 0, nextSeq: 1 };
  /** What was answered when the process died, also of what it may have lost. */
  #said = 0;
  /** What was deleted, as it was before; the book may not know yet. */
  readonly #lingering = new Map<number, StoredDetail>();
  /** Greater than every `seq` that was answered. */
  #nextSeq = 1;
  #epoch = 0;
  #dead = false;
  #isFull = false;
  #stalled = false;
  #waiting: (() => void)[] = [];
  #timers: (() => void)[] = [];
  #open = 0;
  #wrong: Error | undefined;
  #counts = { ...noCounts };

  constructor(seed: number, options: StoreHistoryOptions = {}) {
    this.#chance = dice(seed);
    this.#options = {
      steps: 70,
      deathRate: 0.002,
      segmentBytes: 12 * 4096,
      fullBook: false,
      sync: 'batch',
      ...options,
    };
    this.#work = new Workload(this.#chance);
  }

  async run(): Promise<StoreHistoryResult> {
    for (let step = 0; step < this.#options.steps; step++) {
      try {
        if (this.#store === undefined) await this.#start();
        else await this.#step(this.#store);
      } catch (error) {
        if (!this.#dead) throw this.#explained(error as Error);
      }
      if (this.#wrong !== undefined) throw this.#explained(this.#wrong);
      if (this.#dead) this.#die();
    }
    return { ...this.#counts, checkpoints: this.#book.checkpoints, trace: this.trace };
  }

  #explained(error: Error): Error {
    return new Error(`${error.message}\n${this.trace.slice(-30).join('\n')}\n${this.#disk.names.join(' ')}`, {
      cause: error,
    });
  }

  #say(text: string): void {
    this.trace.push(text);
  }

  #tick(work: string): void {
    if (this.#dead) throw new GoneError();
    if (this.#chance() >= this.#options.deathRate) return;
    this.#dead = true;
    this.#say(`dies at: ${work}`);
    throw new GoneError();
  }

  #die(): void {
    const isPower = this.#chance() < 0.5;
    this.#say(isPower ? 'power failure' : 'kill -9');
    this.#said = Math.max(this.#said, this.#answered);
    if (isPower) {
      this.#noteSynced();
      if (this.#options.sync !== 'batch') [this.#answered, this.#nextSeq] = [this.#safe.number, this.#safe.nextSeq];
      this.#disk.cutPower(this.#chance);
      this.#book.cutPower(this.#chance);
    } else {
      this.#disk.kill();
      this.#book.kill();
    }
    this.#store = undefined;
    this.#timers = [];
    this.#waiting = [];
    this.#open = 0;
  }

  // ── starts ──

  async #start(): Promise<void> {
    this.#counts.starts++;
    this.#dead = this.#stalled = this.#isFull = false;
    const { segmentBytes, sync } = this.#options;
    const { store, journal } = storeOn(this.#disk, this.#book, {
      segmentBytes,
      sync,
      sizes: smallSizes(segmentBytes),
      chance: this.#chance,
      tick: (work) => this.#tick(work),
      book: {
        wait: () => (this.#stalled ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()),
        isFull: () => this.#isFull,
      },
      later: (run) => this.#timers.push(run),
      cut: (sequence, bytes) => this.#say(`cut ${bytes} bytes behind ${sequence}`),
    });
    const loaded = await store.load({ wallMs: 2_000_000_000_000, idsAheadMax: 100 });
    const { tasks, settings, nextSeq, epoch, expiredBeforeMs } = loaded;
    this.#journal = journal();
    this.#say(`start ${this.#counts.starts}: from ${this.#journal.first}, epoch ${epoch}`);
    if (epoch <= this.#epoch) throw new Error(`epoch ${epoch} after ${this.#epoch}`);
    this.#epoch = epoch;
    const details = await this.#all(store);
    const found: Expected = { tasks: details, settings, expiredBeforeMs };
    const live = [...details.values()].filter(({ state }) => !isEnded(state));
    if (live.map(({ seq }) => seq).join() !== [...tasks].map(({ seq }) => seq).join())
      throw new Error('what was loaded is not what lives');
    const recovered = this.#balance(found);
    if (nextSeq < this.#nextSeq || Math.max(0, ...details.keys()) >= nextSeq)
      throw new Error(`${nextSeq} is next, and ${this.#nextSeq - 1} was used`);
    this.#versions = [recovered];
    this.#answered = this.#said = 0;
    this.#unsynced = [];
    this.#safe = { number: 0, nextSeq };
    this.#lingering.clear();
    this.#nextSeq = nextSeq;
    this.#work.startAt(nextSeq);
    this.#store = store;
  }

  /** Everything that the store shows. */
  async #all(store: JournalStore): Promise<Map<number, StoredDetail>> {
    const found = new Map<number, StoredDetail>();
    for (const { spec, seq } of (await store.list(everything)).toReversed()) {
      const detail = await store.show(spec.id);
      if (detail === undefined) throw new Error(`task ${seq} is listed and not shown`);
      if (found.has(seq)) throw new Error(`task ${seq} is listed twice`);
      found.set(seq, detail);
    }
    return found;
  }

  /** The state that was found is the one that was answered, or one that follows it. */
  #balance(found: Expected): Expected {
    for (const [number, version] of [...this.#versions.entries()].slice(this.#answered).toReversed()) {
      if (difference(version, found) !== undefined) continue;
      this.#counts.lost += Math.max(0, this.#said - number);
      return version;
    }
    throw new Error(`what was answered is not what is there: ${difference(this.#versions[this.#answered]!, found)}`);
  }

  // ── steps ──

  async #step(store: JournalStore): Promise<void> {
    const at = this.#chance();
    if (at < 0.55) for (let count = this.#chance() < 0.2 ? 3 : 1; count > 0; count--) this.#commit(store);
    else if (at < 0.68) await this.#read(store);
    else if (at < 0.72) await this.#purge(store);
    else if (at < 0.82) await this.#runTimers();
    else if (at < 0.86) this.#stall(!this.#stalled);
    else if (at < 0.89) {
      await this.#letOneGo();
      await this.#read(store);
    } else if (at < 0.91 && this.#options.fullBook) this.#isFull = !this.#isFull;
    else if (at < 0.95) await this.#settle();
    else if (at < 0.98) await this.#stop(store);
    else this.#dead = true;
    if (this.#chance() < 0.7) await turn();
  }

  /** With late syncs everything before is synced afterwards. */
  async #runTimers(): Promise<void> {
    const journal = this.#journal!;
    const { sequence } = journal.last;
    for (let turns = 0; turns === 0 || journal.synced.sequence < sequence; turns++) {
      if (turns > 1000) throw new Error(`batch ${sequence} is never synced`);
      for (const run of this.#timers.splice(0)) run();
      await turn();
      if (this.#dead) return;
    }
  }

  #noteSynced(): void {
    const synced = this.#journal?.synced.sequence ?? 0;
    while (this.#unsynced[0] !== undefined && this.#unsynced[0].sequence <= synced)
      this.#safe = this.#unsynced.shift()!;
  }

  #stall(stalled: boolean): void {
    this.#stalled = stalled;
    if (!stalled) for (const go of this.#waiting.splice(0)) go();
  }

  /** The book does one thing, and stalls again. */
  async #letOneGo(): Promise<void> {
    this.#stalled = true;
    this.#waiting.shift()?.();
    await turn();
    await this.#checkPosition();
  }

  /** Where the book says that it stands, the journal has the batch that it says. */
  async #checkPosition(): Promise<void> {
    const { position } = this.#book.rows;
    if (this.#dead || position === undefined || position.sequence < this.#journal!.first) return;
    const { sequence } = this.#journal!.synced;
    if (position.sequence > sequence) throw new Error(`the book stands at ${position.sequence}, of ${sequence} synced`);
    for await (const { crc } of this.#journal!.read(position.sequence)) {
      if (crc !== position.crc)
        throw new Error(`the book stands at ${position.sequence} with the CRC of another batch`);
      return;
    }
  }

  /** Everything that is under way ends. */
  async #settle(): Promise<void> {
    this.#stall(false);
    for (let turns = 0; this.#open > 0 && !this.#dead; turns++) {
      if (turns > 1000) throw new Error(`${this.#open} requests never end`);
      await turn();
    }
    this.#measure();
  }

  #measure(): void {
    const { first, space } = this.#journal!;
    if (this.#store!.room.full) this.#counts.full++;
    this.#counts.released = Math.max(this.#counts.released, first - 1);
    this.#counts.segments = Math.max(this.#counts.segments, space.usedBytes / this.#options.segmentBytes);
  }

  /** Runs a request beside the others; what its process does not answer any more does not count. */
  #request<T>(asked: Promise<T>, answered: (answer: T) => void): void {
    this.#open++;
    const starts = this.#counts.starts;
    const isOver = (): boolean => this.#dead || starts !== this.#counts.starts || this.#store === undefined;
    asked
      .then(
        (answer) => isOver() || answered(answer),
        (error: Error) => {
          if (isOver()) return;
          throw error;
        },
      )
      .catch((error: Error) => {
        this.#wrong ??= error;
      })
      .finally(() => {
        if (starts === this.#counts.starts) this.#open--;
      });
  }

  #commit(store: JournalStore): void {
    this.#give(store, this.#work.commit(this.#versions.at(-1)!));
  }

  #give(store: JournalStore, records: readonly StoreRecord[]): void {
    this.#versions.push(expectedAfter(this.#versions.at(-1)!, records));
    const number = this.#versions.length - 1;
    this.#say(`commit ${records.map((one) => `${one.kind}${'seq' in one ? ` ${one.seq}` : ''}`).join(', ')}`);
    this.#request(store.commit(records), () => {
      if (number !== this.#answered + 1) throw new Error(`commit ${number} is answered after ${this.#answered}`);
      this.#answered = number;
      this.#counts.commits++;
      for (const record of records)
        if (record.kind === 'submitted') this.#nextSeq = Math.max(this.#nextSeq, record.seq + 1);
      this.#unsynced.push({ number, sequence: this.#journal!.last.sequence, nextSeq: this.#nextSeq });
    });
  }

  /** Retention: what it looks for, and then one commit of what it found, or of the mark alone. */
  async #purge(store: JournalStore): Promise<void> {
    await this.#settle();
    if (this.#options.sync !== 'batch') await this.#runTimers();
    if (this.#isFull || this.#dead) return;
    await store.check(); // as once a second: what a full disk did not let in is tried again
    const before = this.#versions.at(-1)!;
    const isOld = this.#chance() < 0.6;
    const beforeMs = isOld ? this.#work.nowMs - Math.floor(this.#chance() * 20) : 0;
    const limit = this.#chance() < 0.3 ? 2 : 1000;
    const age = { beforeMs, deadLettersBeforeMs: beforeMs };
    const bytesMax = isOld ? 1e15 : Math.floor(this.#chance() * 20_000);
    const isBehind = store.room.full;
    const { tasks, bodies } = await store.expired(expiryOf({ ...age, bytesMax, limit }));
    const old = expectedPurge(before, beforeMs, limit);
    if (!isBehind && tasks.join() !== old.join()) throw new Error(`finds ${tasks} to be too old, not ${old}`);
    if (!isBehind) this.#lingering.clear(); // everything before it is in the book
    for (const seq of bodies)
      if (!isEnded(before.tasks.get(seq)!.state)) throw new Error(`would trim task ${seq}, which lives`);
    for (const seq of [...tasks, ...bodies]) this.#lingering.set(seq, before.tasks.get(seq)!);
    const mark = before.expiredBeforeMs + Math.floor(this.#chance() * 3);
    this.#give(store, deletionOf({ tasks, bodies, beforeMs: mark }));
    this.#counts.purged += tasks.length;
    this.#counts.trimmed += bodies.length;
  }

  async #stop(store: JournalStore): Promise<void> {
    await this.#settle();
    if (this.#dead) return;
    this.#say('clean stop');
    await store.close();
    this.#dead = true;
  }

  // ── reads: what they show was true at some moment between the question and the answer ──

  async #read(store: JournalStore): Promise<void> {
    const from = this.#versions.length - 1;
    const moments = (): Expected[] => this.#versions.slice(from);
    const before = this.#versions[from]!;
    const lingering = new Map(this.#lingering);
    const lingers = (seq: number): StoredDetail | undefined => lingering.get(seq) ?? this.#lingering.get(seq);
    const counted = (): void => {
      this.#counts.reads++;
    };
    const known = [...before.tasks.values()];
    const one = known[Math.floor(this.#chance() * known.length)];
    const kind = this.#chance();
    if (kind < 0.3 && one !== undefined)
      this.#request(store.show(one.spec.id), (shown) => {
        counted();
        const allowed = moments().map(({ tasks }) => tasks.get(one.seq));
        const isAllowed = [...allowed, lingers(one.seq)].some((task) => textOf(task) === textOf(shown));
        if (!isAllowed && !(shown === undefined && lingers(one.seq) !== undefined))
          throw new Error(`shows ${textOf(shown)}, not ${allowed.map(textOf).join(' or ')}`);
      });
    else if (kind < 0.45)
      this.#request(store.states(known.map(({ spec }) => spec.id)), (states) => {
        counted();
        for (const { seq, spec } of known) {
          const allowed = moments().map(({ tasks }) => tasks.get(seq)?.state);
          const state = states.get(spec.id);
          if (!allowed.includes(state) && lingers(seq)?.state !== state)
            throw new Error(`task ${seq} is ${state}, not ${allowed.join(' or ')}`);
        }
      });
    else {
      const filter = this.#filter(known.length);
      this.#request(store.list(filter), (rows) => {
        counted();
        checkList(
          rows.map((row) => [row.seq, taskText(row)] as const),
          filter,
          moments(),
          (seq) => lingers(seq) !== undefined,
        );
      });
    }
  }

  #filter(count: number): TaskFilter {
    const some = <T>(value: T, rate: number): T | undefined => (this.#chance() < rate ? value : undefined);
    return {
      states: some(['completed', 'pending'] as const, 0.3) ?? some(['dead_letter'] as const, 0.2) ?? [],
      operation: some('scan', 0.2),
      collectorId: some('c1', 0.2),
      beforeSeq: some(Math.floor(this.#chance() * this.#nextSeq), 0.2),
      limit: some(1 + Math.floor(this.#chance() * count), 0.3) ?? 1000,
    };
  }
}

const textOf = (task: StoredDetail | undefined): string => (task === undefined ? 'nothing' : detailText(task));

function checkList(
  rows: readonly (readonly [number, string])[],
  filter: TaskFilter,
  moments: readonly Expected[],
  isOptional: (seq: number) => boolean,
): void {
  for (const [at, [seq, text]] of rows.entries()) {
    if (at > 0 && seq >= rows[at - 1]![0]) throw new Error(`task ${seq} is listed behind ${rows[at - 1]![0]}`);
    const allowed = moments.flatMap(({ tasks }) => tasks.get(seq) ?? []).filter((task) => fitsFilter(task, filter));
    if (!allowed.some((task) => taskText(task) === text) && !isOptional(seq)) throw new Error(`lists ${text}`);
  }
  if (rows.length > filter.limit) throw new Error(`${rows.length} rows, not ${filter.limit}`);
  const lowest = rows.length < filter.limit ? 0 : rows.at(-1)![0];
  const listed = new Set(rows.map(([seq]) => seq));
  for (const seq of moments[0]!.tasks.keys()) {
    const always = moments.every(({ tasks }) => tasks.has(seq) && fitsFilter(tasks.get(seq)!, filter));
    if (always && seq >= lowest && !listed.has(seq) && !isOptional(seq))
      throw new Error(`task ${seq} is missing in a list of ${listed.size}`);
  }
}
