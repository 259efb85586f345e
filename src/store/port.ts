/**
 * The store's port: what is remembered. Two engines implement it, in memory and on SQLite, and one conformance suite
 * (test/conformance/store.ts) holds both to the same behaviour.
 */
import type { StoredTask, StoreRecord, TaskError, TaskState } from '../core/task.ts';
import type { AttemptOutcome } from '../protocol/schema.ts';

export interface Loaded {
  /** Every task that has not ended, in order of acceptance. */
  readonly tasks: readonly StoredTask[];
  readonly settings: ReadonlyMap<string, string>;
  /** Larger than any `seq` ever committed. */
  readonly nextSeq: number;
  /** The greatest id that is kept. UUIDv7 sort by time, so it tells how new an id must be not to be here already. */
  readonly newestId: string | undefined;
}

export interface StoredAttempt {
  readonly attempt: number;
  readonly collectorId: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: AttemptOutcome;
  readonly error: TaskError | undefined;
}

export interface StoredDetail extends StoredTask {
  readonly attempts: readonly StoredAttempt[];
  readonly result: Uint8Array | undefined;
}

export interface TaskFilter {
  readonly states: readonly TaskState[];
  readonly operation: string | undefined;
  readonly collectorId: string | undefined;
  /** Only tasks accepted before this one. */
  readonly beforeSeq: number | undefined;
  readonly limit: number;
}

export interface Store {
  /** Call once, before anything else. Rejects with a StoreError when what is there cannot be trusted. */
  load(): Promise<Loaded>;
  /** Resolves when every record is durable; rejects having kept none of them. Commits take effect in order. */
  commit(records: readonly StoreRecord[]): Promise<void>;
  /** Reads see every commit made before them. */
  show(id: string): Promise<StoredDetail | undefined>;
  /** Newest first. Payloads are left out (empty). */
  list(filter: TaskFilter): Promise<readonly StoredTask[]>;
  close(): Promise<void>;
}

/** An operational error of a store; `code` is stable. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code:
    | 'store_corrupt'
    | 'store_newer'
    | 'store_foreign'
    | 'store_unavailable'
    | 'store_full'
    | 'store_failed';

  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
