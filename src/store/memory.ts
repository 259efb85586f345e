/** The in-memory twin of the store: for the embedded broker that need not remember, for tests and for the simulator. */
import { present } from '../core/body.ts';
import type { AttemptRecord, StoredTask, StoreRecord } from '../core/record.ts';
import { advance, submittedTask } from '../core/replay.ts';
import { isEnded, type TaskState } from '../protocol/state.ts';
import type { StoreStatus } from '../protocol/store-methods.ts';
import { uuidTimeMs } from '../protocol/uuid-time.ts';
import { listed } from './listing.ts';
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

type Row = StoredTask & { readonly attempts: readonly AttemptRecord[]; readonly result: Uint8Array | undefined };

const unbounded: Room = { bytes: Number.POSITIVE_INFINITY, full: false };

export class MemoryStore implements Store {
  readonly #rows = new Map<number, Row>();
  readonly #seqOf = new Map<string, number>();
  readonly #settings = new Map<string, string>();
  #maxSeq = 0;
  #epoch = 0;

  async load({ wallMs, idsAheadMax }: LoadOptions): Promise<Loaded> {
    const ids = [...this.#seqOf.keys()].sort();
    const firstAhead = ids.findIndex((id) => uuidTimeMs(id) > wallMs);
    const isOneByOne = firstAhead !== -1 && ids.length - firstAhead <= idsAheadMax;
    const past = isOneByOne ? ids.slice(0, firstAhead) : ids;
    const rows = [...this.#rows.values()];
    return {
      epoch: ++this.#epoch,
      sync: 'none',
      newestAtMs: rows.reduce<number | undefined>((newest, { atMs }) => Math.max(newest ?? atMs, atMs), undefined),
      tasks: rows.filter(({ state }) => !isEnded(state)).sort((a, b) => a.seq - b.seq),
      settings: new Map(this.#settings),
      nextSeq: this.#maxSeq + 1,
      newestId: past.at(-1),
      idsAhead: ids.slice(past.length),
    };
  }

  async commit(records: readonly StoreRecord[]): Promise<void> {
    // Whole or not at all: what could be refused is looked at before anything is applied.
    const ids = records.flatMap((record) => (record.kind === 'submitted' ? [record.spec.id] : []));
    const double = ids.find((id, at) => this.#seqOf.has(id) || ids.indexOf(id) !== at);
    if (double !== undefined) throw new Error(`task ${double} is stored already`);
    for (const record of records) this.#apply(record);
  }

  async payload(id: string): Promise<Uint8Array | undefined> {
    const row = this.#rows.get(this.#seqOf.get(id) ?? -1);
    return row === undefined ? undefined : present(row.spec.payload);
  }

  readonly room = unbounded;

  async makeRoom(): Promise<void> {}

  async show(id: string): Promise<StoredDetail | undefined> {
    return this.#rows.get(this.#seqOf.get(id) ?? -1);
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    const found = new Map<string, TaskState>();
    for (const id of ids) {
      const row = this.#rows.get(this.#seqOf.get(id) ?? -1);
      if (row !== undefined) found.set(id, row.state);
    }
    return found;
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    return listed(this.#rows.values(), filter);
  }

  async purge({ beforeMs, deadLettersBeforeMs, limit }: PurgeOptions): Promise<number> {
    const old = [...this.#rows.values()]
      .filter(({ state, atMs }) => isEnded(state) && atMs < (state === 'dead_letter' ? deadLettersBeforeMs : beforeMs))
      .slice(0, limit);
    for (const { seq, spec } of old) {
      this.#rows.delete(seq);
      this.#seqOf.delete(spec.id);
    }
    return old.length;
  }

  async check(): Promise<void> {}

  async status(): Promise<StoreStatus> {
    const live = [...this.#rows.values()].filter(({ state }) => !isEnded(state));
    const bytes = live.reduce((sum, { spec }) => sum + spec.payload.length, 0);
    const payloads = { bytes_in_memory: bytes, count_on_disk: 0 };
    return { engine: 'memory', sync: 'none', is_full: false, epoch: this.#epoch, live_tasks: live.length, payloads };
  }

  async backup(): Promise<never> {
    throw inMemory('copied');
  }

  async compact(): Promise<never> {
    throw inMemory('compacted');
  }

  async close(): Promise<void> {}

  #apply(record: StoreRecord): void {
    switch (record.kind) {
      case 'submitted': {
        const { seq, spec } = record;
        this.#maxSeq = Math.max(this.#maxSeq, seq);
        this.#seqOf.set(spec.id, seq);
        this.#rows.set(seq, { ...submittedTask(record), attempts: [], result: undefined });
        return;
      }
      case 'moved': {
        const row = { ...this.#rows.get(record.seq)!, result: record.result };
        advance(row, record);
        this.#rows.set(record.seq, row);
        return;
      }
      case 'attempt': {
        const { kind: _, seq, ...attempt } = record;
        const row = this.#rows.get(seq)!;
        this.#rows.set(seq, { ...row, attempts: [...row.attempts, attempt] });
        return;
      }
      case 'setting':
        if (record.value === undefined) this.#settings.delete(record.key);
        else this.#settings.set(record.key, record.value);
    }
  }
}

const inMemory = (what: string): StoreError =>
  new StoreError(
    'store_in_memory',
    `The store is in memory, so there is nothing on the disk to be ${what}. Start a broker with a store on the disk.`,
  );
