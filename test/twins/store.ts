/**
 * The twin of the store: a disk that outlives processes, over the memory store. What is done takes time, one thing after
 * the other; a commit may fail, or the process may die just before or just after it took effect.
 */
import assert from 'node:assert/strict';
import type { Expiry } from '../../src/book/port.ts';
import { absentBody, present } from '../../src/core/body.ts';
import type { Expired } from '../../src/core/expire.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import { bytesOf, exactly } from '../../src/core/record-size.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import type { MemoryStore } from '../../src/store/memory.ts';
import {
  type Loaded,
  type LoadOptions,
  type Room,
  type Store,
  type StoredDetail,
  StoreError,
  type TaskFilter,
} from '../../src/store/port.ts';

export type Work = 'load' | 'commit' | 'room' | 'read' | 'check';
/** `removed`: of a commit or a check, the files are gone; what was committed is written back, and nothing is answered. */
export type Fate = 'done' | 'fails' | 'removed' | 'dies_before' | 'dies_after';

/** How the disk behaves. */
export interface DiskNature {
  /** Runs `run` when such work, begun now, is finished. */
  readonly after: (work: Work, run: () => void) => void;
  /** Whether a payload is on the disk only from now on; and whether it cannot be read back. */
  readonly leavesMemory: () => boolean;
  readonly damages: (id: string) => boolean;
  /** What the disk still takes. */
  readonly room: () => Room;
  /** What becomes of it. Only a commit is asked whether the process dies by it. */
  readonly fate: (work: Work) => Fate;
  /** The process dies now. */
  readonly die: () => void;
  /** Records took effect. */
  readonly applied: (records: readonly StoreRecord[]) => void;
  /** Retention looked for what is kept no longer. */
  readonly looked: (expiry: Expiry) => void;
}

export const kindNature: DiskNature = {
  after: (_work, run) => queueMicrotask(run),
  leavesMemory: () => false,
  damages: () => false,
  room: () => ({ bytes: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY, full: false }),
  fate: () => 'done',
  die: () => {},
  applied: () => {},
  looked: () => {},
};

interface Job {
  readonly work: Work;
  readonly run: () => void;
}

/** The port of one process to the disk. */
export class StoreTwin implements Store {
  readonly #disk: MemoryStore;
  readonly #nature: DiskNature;
  #jobs: Job[] = [];
  #busy = false;
  #dead = false;
  #closed = false;
  #failed = false;
  readonly #payloads = new Map<string, Uint8Array>();
  #bodyDamaged: (id: string) => void = () => {};
  /** The most room that was shown since the last commit. */
  #promised: number | undefined;

  constructor(disk: MemoryStore, nature: DiskNature) {
    this.#disk = disk;
    this.#nature = nature;
  }

  /** Whether a commit has failed, or the files were found to be gone. */
  get failed(): boolean {
    return this.#failed;
  }

  async load(options: LoadOptions): Promise<Loaded> {
    const loaded = await this.#do('load', () => this.#disk.load(options));
    this.#bodyDamaged = options.bodyDamaged ?? (() => {});
    // Each process has specs of its own, as those that are read back are.
    const tasks = Array.from(loaded.tasks, (task) => ({ ...task, spec: { ...task.spec } }));
    for (const { spec } of tasks) this.#mayLeaveMemory(spec);
    return { ...loaded, tasks };
  }

  commit(records: readonly StoreRecord[]): Promise<void> {
    const bytes = records.reduce((sum, record) => sum + bytesOf(record, exactly), 0);
    const promised = this.#promised ?? bytes; // who never asked was promised everything
    assert(bytes <= promised, `a commit has ${bytes} bytes, and there was room for ${promised}`);
    if (this.#promised !== undefined) this.#promised = 0;
    return new Promise((resolve, reject) =>
      this.#add('commit', () => {
        // After a failed commit nothing more is written: a retry would lie.
        const fate = this.#failed ? 'fails' : this.#nature.fate('commit');
        if (fate === 'fails') {
          this.#failed = true;
          return reject(new StoreError('store_full', 'the disk is full'));
        }
        if (fate === 'dies_before') return this.#nature.die();
        const done = this.#apply(records);
        if (fate === 'removed') return this.#lose(reject);
        if (fate === 'dies_after') this.#nature.die();
        else done.then(resolve, reject);
      }),
    );
  }

  get room(): Room {
    const room = this.#nature.room();
    this.#promised = Math.max(this.#promised ?? 0, room.bytes);
    return room;
  }

  payload(id: string): Promise<Uint8Array | undefined> {
    return this.#do('read', async () => this.#payloads.get(id)).then((payload) => {
      if (payload !== undefined && !this.#nature.damages(id)) return payload;
      this.#bodyDamaged(id);
      return undefined;
    });
  }

  makeRoom(): Promise<void> {
    return this.#do('room', async () => {});
  }

  show(id: string): Promise<StoredDetail | undefined> {
    return this.#do('read', () => this.#disk.show(id));
  }

  states(ids: readonly string[]): ReturnType<Store['states']> {
    return this.#do('read', () => this.#disk.states(ids));
  }

  list(filter: TaskFilter): ReturnType<Store['list']> {
    return this.#do('read', () => this.#disk.list(filter));
  }

  expired(expiry: Expiry): Promise<Expired> {
    return this.#do('read', () => {
      this.#nature.looked(expiry);
      return this.#disk.expired(expiry);
    });
  }

  shrink(): Promise<boolean> {
    return this.#do('read', () => this.#disk.shrink());
  }

  check(): Promise<void> {
    if (this.#nature.fate('check') !== 'removed') return Promise.resolve();
    return new Promise((_, reject) => this.#add('check', () => this.#lose(reject)));
  }

  status(): ReturnType<Store['status']> {
    return this.#do('read', () => this.#disk.status());
  }

  backup(): ReturnType<Store['backup']> {
    return this.#disk.backup();
  }

  compact(): ReturnType<Store['compact']> {
    return this.#disk.compact();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The process is gone: what was begun never ends, for all it knows. */
  kill(): void {
    this.#dead = true;
    this.#jobs = [];
  }

  #lose(reject: (error: StoreError) => void): void {
    this.#failed = true;
    reject(new StoreError('store_removed', 'the files of the store were removed'));
  }

  #apply(records: readonly StoreRecord[]): Promise<void> {
    const own = records.map((one) => (one.kind === 'submitted' ? { ...one, spec: { ...one.spec } } : one));
    const done = this.#disk.commit(own);
    this.#nature.applied(records);
    for (const record of records) if (record.kind === 'submitted') this.#mayLeaveMemory(record.spec);
    return done;
  }

  #mayLeaveMemory(spec: TaskSpec): void {
    this.#payloads.set(spec.id, present(spec.payload));
    if (this.#nature.leavesMemory()) spec.payload = absentBody(spec.payload.length);
  }

  #do<T>(work: Work, run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) =>
      this.#add(work, () => {
        if (this.#nature.fate(work) === 'fails') reject(new StoreError('store_failed', `the ${work} failed`));
        else run().then(resolve, reject);
      }),
    );
  }

  #add(work: Work, run: () => void): void {
    this.#jobs.push({ work, run });
    this.#next();
  }

  #next(): void {
    const job = this.#jobs[0];
    if (this.#busy || job === undefined) return;
    this.#busy = true;
    this.#nature.after(job.work, () => {
      if (this.#dead) return;
      this.#busy = false;
      this.#jobs.shift();
      job.run();
      this.#next();
    });
  }
}
