/** The book in a thread of its own. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Expired } from '../core/expire.ts';
import type { AttemptRecord, StoredTask } from '../core/record.ts';
import type { TaskState } from '../protocol/state.ts';
import { BookError } from './error.ts';
import type { Book, BookPosition, BookSize, EndedFilter, EndedTask, Expiry, Newest, Shrunk } from './port.ts';
import type { BookAnswer, BookMethod } from './thread.ts';

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class ThreadedBook implements Book {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #over: BookError | undefined;

  constructor(path: string) {
    const file = new URL(`./thread${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, { workerData: { path }, execArgv: ['--disable-warning=ExperimentalWarning'] });
    this.#worker.on('message', (answer: BookAnswer) => {
      const pending = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      if ('error' in answer) pending?.reject(new BookError(answer.error.code, answer.error.message));
      else pending?.resolve(answer.result);
    });
    this.#worker.on('error', (cause) =>
      this.#end(new BookError('book_failed', `The book's thread failed: ${(cause as Error).message}`, { cause })),
    );
    this.#worker.on('exit', () => this.#end(new BookError('book_failed', 'The book is closed.')));
  }

  open(): Promise<BookPosition | undefined> {
    return this.#request('open', []);
  }

  /** The bytes are handed over: the caller must not touch them again. */
  apply(records: Uint8Array<ArrayBuffer>, position: BookPosition): Promise<number> {
    return this.#request('apply', [records, position], [records.buffer]);
  }

  checkpoint(): Promise<BookPosition | undefined> {
    return this.#request('checkpoint', []);
  }

  show(id: string): Promise<EndedTask | undefined> {
    return this.#request('show', [id]);
  }

  attempts(seq: number): Promise<readonly AttemptRecord[]> {
    return this.#request('attempts', [seq]);
  }

  states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    return this.#request('states', [ids]);
  }

  list(filter: EndedFilter): Promise<readonly StoredTask[]> {
    return this.#request('list', [filter]);
  }

  expired(expiry: Expiry): Promise<Expired> {
    return this.#request('expired', [expiry]);
  }

  shrink(isAll: boolean): Promise<Shrunk> {
    return this.#request('shrink', [isAll]);
  }

  newest(wallMs: number, idsAheadMax: number): Promise<Newest> {
    return this.#request('newest', [wallMs, idsAheadMax]);
  }

  size(): Promise<BookSize> {
    return this.#request('size', []);
  }

  check(): Promise<void> {
    return this.#request('check', []);
  }

  copyTo(path: string): Promise<void> {
    return this.#request('copyTo', [path]);
  }

  async close(): Promise<void> {
    if (this.#over !== undefined) return;
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    await this.#request('close', []);
    await exited;
  }

  #request<T>(method: BookMethod, args: readonly unknown[], transfer: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#worker.postMessage({ id, method, args }, transfer);
    });
  }

  #end(error: BookError): void {
    this.#over ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#over);
    this.#pending.clear();
  }
}
