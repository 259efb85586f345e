/** What a store has committed, for the check that a durable method answers only after its commit. */
import type { StoreRecord } from '../../src/core/record.ts';
import type { Store } from '../../src/store/port.ts';

/** The fields of durable replies and params that name what must have been committed. */
interface Named {
  readonly id?: string;
  readonly task_id?: string;
  readonly state?: string;
  readonly duplicate?: boolean;
  readonly outcomes?: readonly Named[];
  readonly strategy?: string;
  readonly operation?: string;
}

export class CommitLedger {
  readonly #ids = new Map<number, string>();
  /** `ID STATE` of every state that was committed. */
  readonly #states = new Set<string>();
  readonly #known = new Set<string>();
  readonly #settings = new Set<string>();

  /** The same store, whose commits are written down when they have succeeded. */
  watch(store: Store): Store {
    return {
      load: async (options) => {
        const loaded = await store.load(options);
        for (const { seq, spec } of loaded.tasks) this.#learn(seq, spec.id);
        return loaded;
      },
      commit: async (records) => {
        await store.commit(records);
        for (const record of records) this.#commit(record);
      },
      get room() {
        return store.room;
      },
      makeRoom: (bytes) => store.makeRoom(bytes),
      payload: (id) => store.payload(id),
      states: async (ids) => {
        const found = await store.states(ids);
        for (const id of found.keys()) this.#known.add(id);
        return found;
      },
      show: (id) => store.show(id),
      list: (filter) => store.list(filter),
      expired: (expiry) => store.expired(expiry),
      shrink: () => store.shrink(),
      check: () => store.check(),
      status: () => store.status(),
      backup: (directory, options) => store.backup(directory, options),
      compact: (options) => store.compact(options),
      close: () => store.close(),
    };
  }

  /** Why the successful reply should not have left yet, or undefined. */
  missing(method: string, params: unknown, reply: unknown): string | undefined {
    const asked = params as Named;
    const said = reply as Named;
    switch (method) {
      case 'task.submit':
        return this.#known.has(said.id!) ? undefined : `task ${said.id} is not committed`;
      case 'task.submit_batch':
        return said
          .outcomes!.map((one) => (one.id === undefined ? undefined : this.missing('task.submit', {}, one)))
          .find((why) => why !== undefined);
      case 'task.cancel':
        return this.#state(said.id!, said.state!);
      case 'task.complete':
        return this.#state(asked.task_id!, 'completed');
      case 'task.fail':
        return this.#state(asked.task_id!, said.state!);
      case 'routing.set': {
        const key = asked.operation === undefined ? 'routing.strategy' : `routing.strategy.${asked.operation}`;
        return this.#settings.has(key) ? undefined : `setting ${key} is not committed`;
      }
      default:
        return `the checker does not know what ${method} commits`;
    }
  }

  #state(id: string, state: string): string | undefined {
    return this.#states.has(`${id} ${state}`) ? undefined : `task ${id} is not committed as ${state}`;
  }

  #learn(seq: number, id: string): void {
    this.#ids.set(seq, id);
    this.#known.add(id);
  }

  #commit(record: StoreRecord): void {
    if (record.kind === 'submitted') {
      this.#learn(record.seq, record.spec.id);
      this.#states.add(`${record.spec.id} pending`);
    } else if (record.kind === 'moved') this.#states.add(`${this.#ids.get(record.seq)} ${record.state}`);
    else if (record.kind === 'setting') this.#settings.add(record.key);
  }
}
