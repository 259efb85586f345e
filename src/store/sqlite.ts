/** The store on SQLite, in a worker thread so that a slow disk never holds up the loop that relays messages. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Expiry } from '../book/port.ts';
import type { Expired } from '../core/expire.ts';
import type { StoredTask, StoreRecord } from '../core/record.ts';
import type { TaskState } from '../protocol/state.ts';
import { type Loaded, type LoadOptions, type Store, type StoredDetail, StoreError, type TaskFilter } from './port.ts';
import type { WorkerAnswer } from './sqlite-worker.ts';

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class SqliteStore implements Store {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #ended: StoreError | undefined;

  constructor(path: string) {
    const file = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, { workerData: { path }, execArgv: ['--disable-warning=ExperimentalWarning'] });
    this.#worker.on('message', (answer: WorkerAnswer) => {
      const pending = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      if ('error' in answer) pending?.reject(new StoreError(answer.error.code, answer.error.message));
      else pending?.resolve(answer.result);
    });
    this.#worker.on('error', (cause) =>
      this.#end(new StoreError('store_failed', `The store's thread failed: ${(cause as Error).message}`, { cause })),
    );
    this.#worker.on('exit', () => this.#end(new StoreError('store_failed', 'The store is closed.')));
  }

  load(options: LoadOptions): Promise<Loaded> {
    return this.#request('load', options);
  }

  commit(records: readonly StoreRecord[]): Promise<void> {
    return this.#request('commit', records);
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    return this.#request('show', id);
  }

  states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    return this.#request('states', ids);
  }

  expired(expiry: Expiry): Promise<Expired> {
    return this.#request('expired', expiry);
  }

  async shrink(): Promise<boolean> {
    return false;
  }

  list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    return this.#request('list', filter);
  }

  check(): Promise<void> {
    return this.#request('check', undefined);
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    await this.#request('close', undefined);
    await exited;
  }

  #request<T>(method: string, argument: unknown): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#worker.postMessage({ id, method, argument });
    });
  }

  #end(error: StoreError): void {
    this.#ended ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
  }
}
