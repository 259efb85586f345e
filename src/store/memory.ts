/** The in-memory twin of the store: for the embedded broker that need not remember, for tests and for the simulator. */
import type { StoredTask, StoreRecord } from '../core/task.ts';
import type { Loaded, Store, StoredAttempt, StoredDetail, TaskFilter } from './port.ts';

type Row = StoredTask & { readonly attempts: readonly StoredAttempt[]; readonly result: Uint8Array | undefined };

const ended = new Set(['completed', 'dead_letter', 'cancelled']);
const noPayload = new Uint8Array(0);

export class MemoryStore implements Store {
  readonly #rows = new Map<number, Row>();
  readonly #seqOf = new Map<string, number>();
  readonly #settings = new Map<string, string>();
  #maxSeq = 0;
  /** How often something was committed, and how many records in all. */
  commits = 0;
  records = 0;

  async load(): Promise<Loaded> {
    const tasks = [...this.#rows.values()].filter(({ state }) => !ended.has(state)).sort((a, b) => a.seq - b.seq);
    return {
      tasks,
      settings: new Map(this.#settings),
      nextSeq: this.#maxSeq + 1,
      newestId: [...this.#seqOf.keys()].sort().at(-1),
    };
  }

  async commit(records: readonly StoreRecord[]): Promise<void> {
    // Whole or not at all: what could be refused is looked at before anything is applied.
    const ids = records.flatMap((record) => (record.kind === 'submitted' ? [record.spec.id] : []));
    const taken = ids.find((id, at) => this.#seqOf.has(id) || ids.indexOf(id) !== at);
    if (taken !== undefined) throw new Error(`task ${taken} is stored already`);
    this.commits++;
    this.records += records.length;
    for (const record of records) this.#apply(record);
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    return this.#rows.get(this.#seqOf.get(id) ?? -1);
  }

  /** Whether a task with this id is kept; the twin can tell at once. */
  has(id: string): boolean {
    return this.#seqOf.has(id);
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    return [...this.#rows.values()]
      .filter(
        (row) =>
          (filter.states.length === 0 || filter.states.includes(row.state)) &&
          (filter.operation === undefined || row.spec.operation === filter.operation) &&
          (filter.collectorId === undefined || row.collectorId === filter.collectorId) &&
          (filter.beforeSeq === undefined || row.seq < filter.beforeSeq),
      )
      .sort((a, b) => b.seq - a.seq)
      .slice(0, filter.limit)
      .map((row) => ({ ...row, spec: { ...row.spec, payload: noPayload } }));
  }

  async close(): Promise<void> {}

  #apply(record: StoreRecord): void {
    switch (record.kind) {
      case 'submitted': {
        const { seq, spec, submittedAtMs } = record;
        this.#maxSeq = Math.max(this.#maxSeq, seq);
        this.#seqOf.set(spec.id, seq);
        this.#rows.set(seq, {
          seq,
          spec,
          submittedAtMs,
          state: 'pending',
          attempt: 0,
          atMs: submittedAtMs,
          collectorId: undefined,
          readyAtMs: undefined,
          error: undefined,
          excluded: [],
          attempts: [],
          result: undefined,
        });
        return;
      }
      case 'moved': {
        const { kind: _, ...changes } = record;
        const row = this.#rows.get(record.seq)!;
        this.#rows.set(record.seq, { ...row, ...changes, collectorId: record.collectorId ?? row.collectorId });
        return;
      }
      case 'attempt': {
        const { kind: _, seq, ...attempt } = record;
        const row = this.#rows.get(seq)!;
        this.#rows.set(seq, { ...row, attempts: [...row.attempts, attempt] });
        return;
      }
      case 'setting':
        this.#settings.set(record.key, record.value);
        return;
      case 'purge':
        for (const [seq, row] of this.#rows) {
          if (!(row.state === 'completed' || row.state === 'cancelled') || row.atMs >= record.endedBeforeMs)
            continue;
          this.#rows.delete(seq);
          this.#seqOf.delete(row.spec.id);
        }
    }
  }
}
