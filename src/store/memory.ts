/** The in-memory twin of the store: for the embedded broker that need not remember, for tests and for the simulator. */
import type { Expiry } from '../book/port.ts';
import { present } from '../core/body.ts';
import type { Expired } from '../core/expire.ts';
import type { AttemptRecord, StoredTask, StoreRecord } from '../core/record.ts';
import { advance, keptFromMs, submittedTask } from '../core/replay.ts';
import { isEnded, type TaskState } from '../protocol/state.ts';
import type { StoreStatus } from '../protocol/store-methods.ts';
import { afterIds, uuidTimeMs } from '../protocol/uuid-time.ts';
import { listed } from './listing.ts';
import {
  type Loaded,
  type LoadOptions,
  type Room,
  type Store,
  type StoredDetail,
  StoreError,
  type TaskFilter,
} from './port.ts';

type Row = StoredTask & { readonly attempts: readonly AttemptRecord[]; readonly result: Uint8Array | undefined };

const noPayload = new Uint8Array(0);
const unbounded: Room = { bytes: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY, full: false };

export class MemoryStore implements Store {
  readonly #rows = new Map<number, Row>();
  readonly #seqOf = new Map<string, number>();
  readonly #settings = new Map<string, string>();
  #maxSeq = 0;
  #expiredBeforeMs = 0;
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
      expiredBeforeMs: this.#expiredBeforeMs,
      newestId: past.at(-1),
      idsAhead: ids.slice(past.length),
    };
  }

  async commit(records: readonly StoreRecord[]): Promise<void> {
    // Whole or not at all: what could be refused is looked at before anything is applied.
    const ids = new Set<string>();
    for (const record of records) {
      if (record.kind !== 'submitted') continue;
      const { id } = record.spec;
      if (this.#seqOf.has(id) || ids.has(id)) throw new Error(`task ${id} is stored already`);
      ids.add(id);
    }
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

  async expired({ beforeMs, deadLettersBeforeMs, tasksMax, bytesMax, wallMs, limit }: Expiry): Promise<Expired> {
    const ended = [...this.#rows.values()].filter(({ state }) => isEnded(state));
    const boundOf = ({ state }: Row): number => (state === 'dead_letter' ? deadLettersBeforeMs : beforeMs);
    let found = ended.filter((row) => keptFromMs(row) < boundOf(row));
    if (found.length === 0) found = tooMany(ended, tasksMax, wallMs);
    if (found.length > 0) {
      found = found.slice(0, limit);
      const ids = found.map(({ spec }) => spec.id);
      return { tasks: found.map(({ seq }) => seq), bodies: [], beforeMs: afterIds(ids, wallMs) };
    }
    let over = ended.reduce((sum, row) => sum + bodyBytes(row), 0) - bytesMax;
    const bodies: number[] = [];
    for (const row of over > 0 ? oldestFirst(ended.filter(bodyBytes)) : []) {
      if (over <= 0 || bodies.length === limit) break;
      over -= bodyBytes(row);
      bodies.push(row.seq);
    }
    return { tasks: [], bodies, beforeMs: 0 };
  }

  async shrink(): Promise<boolean> {
    return false;
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
        return;
      case 'expired':
        this.#expiredBeforeMs = Math.max(this.#expiredBeforeMs, record.beforeMs);
        return;
      case 'purged':
        for (const seq of record.seqs) {
          this.#seqOf.delete(this.#rows.get(seq)?.spec.id ?? '');
          this.#rows.delete(seq);
        }
        return;
      case 'trimmed':
        for (const seq of record.seqs) {
          const row = this.#rows.get(seq);
          if (row !== undefined) this.#rows.set(seq, { ...withoutPayload(row), result: undefined });
        }
    }
  }
}

const inMemory = (what: string): StoreError =>
  new StoreError(
    'store_in_memory',
    `The store is in memory, so there is nothing on the disk to be ${what}. Start a broker with a store on the disk.`,
  );

const withoutPayload = <R extends StoredTask>(row: R): R => ({ ...row, spec: { ...row.spec, payload: noPayload } });

const bodyBytes = ({ spec, result }: Row): number => spec.payload.length + (result?.length ?? 0);

/** Dead letters last; those whose ids are ahead of the clock only beyond twice the number. */
function tooMany(ended: readonly Row[], tasksMax: number, wallMs: number): Row[] {
  const over = Math.max(0, ended.length - tasksMax);
  const past = ended.filter((row) => keptFromMs(row) <= wallMs);
  const [done, donePast] = [ended, past].map((rows) => rows.filter(({ state }) => state !== 'dead_letter'));
  const gone = oldestFirst(done!.length > donePast!.length ? donePast! : past).slice(0, over);
  return gone.length > 0 ? gone : oldestFirst([...ended]).slice(0, Math.max(0, ended.length - 2 * tasksMax));
}

/** Dead letters last. */
const oldestFirst = (rows: Row[]): Row[] =>
  rows.sort(
    (a, b) =>
      Number(a.state === 'dead_letter') - Number(b.state === 'dead_letter') ||
      keptFromMs(a) - keptFromMs(b) ||
      a.seq - b.seq,
  );
