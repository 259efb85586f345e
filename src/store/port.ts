/**
 * The store's port: what is remembered. Two engines implement it, in memory and on a journal with its book, and one
 * conformance suite (test/conformance/store.ts) holds both to the same behaviour.
 */
import type { Expiry } from '../book/port.ts';
import type { Expired } from '../core/expire.ts';
import type { AttemptRecord, StoredTask, StoreRecord } from '../core/record.ts';
import type { StoredState } from '../core/recover.ts';
import type { Sync } from '../protocol/schema.ts';
import type { TaskState } from '../protocol/state.ts';
import type { BackedUp, Compacted, StoreStatus } from '../protocol/store-methods.ts';

export interface LoadOptions {
  readonly wallMs: number;
  /** How many ids from ahead of the clock are told one by one. */
  readonly idsAheadMax: number;
  /** Bytes of payloads of living tasks that are kept in memory. Default: all. */
  readonly payloadsBytesMax?: number;
  /** The payload of this task cannot be read any more. */
  readonly bodyDamaged?: (id: string) => void;
  /** Gets what is done next, and how far it is. */
  readonly progress?: (stage: string) => void;
  /** Gets what was found that a clean stop does not leave behind, and what was done about it. */
  readonly found?: (what: string) => void;
}

export interface Loaded extends StoredState {
  /** Of this start: larger than that of any start before, and durable before anything else is answered. */
  readonly epoch: number;
  /** How durable a commit is when it resolves. */
  readonly sync: Sync;
  /** When the latest change of any task was made; undefined when there is none. */
  readonly newestAtMs: number | undefined;
}

export interface StoredDetail extends StoredTask {
  readonly attempts: readonly AttemptRecord[];
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

/** What the next commit may bring. */
export interface Room {
  /** Bytes of records that are taken for sure, however full the disk is. */
  readonly bytes: number;
  /** As many at most, however empty the disk is. */
  readonly most: number;
  /** The disk is full: what is left is for ending what was accepted. */
  readonly full: boolean;
}

/** Long work beside the commits. */
export interface UpkeepOptions {
  /** Ends it: it rejects with what the signal was aborted with, or a StoreError. */
  readonly signal?: AbortSignal | undefined;
}

export interface BackupOptions extends UpkeepOptions {
  /** Of this deye. */
  readonly version: string;
  readonly wallMs: number;
}

export interface Store {
  /** Call once, before anything else. Begins a new epoch. Rejects with a StoreError when what is there cannot be trusted. */
  load(options: LoadOptions): Promise<Loaded>;
  /** Resolves when every record is durable; rejects having kept none of them. Commits take effect in order. */
  commit(records: readonly StoreRecord[]): Promise<void>;
  /** Behind the commits that are under way. */
  readonly room: Room;
  /** Tries to have room for so many bytes; resolves when it was tried. */
  makeRoom(bytes: number): Promise<void>;
  /** Reads see every commit made before them. */
  show(id: string): Promise<StoredDetail | undefined>;
  /** Of a task that lives. Undefined when it cannot be read back as it was written, which `bodyDamaged` was told. */
  payload(id: string): Promise<Uint8Array | undefined>;
  /** The states of those of the ids that are kept. */
  states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>>;
  /** Newest first. Payloads are left out (empty). */
  list(filter: TaskFilter): Promise<readonly StoredTask[]>;
  /**
   * What retention deletes next, a slice of it: ended tasks that are too old or too many, else bodies that are too large.
   * Changes nothing; deleting it is a commit of `expired`, then `purged` or `trimmed`.
   */
  expired(expiry: Expiry): Promise<Expired>;
  /** Gives some of the space that deletions left back to the disk; whether there is more of it. */
  shrink(): Promise<boolean>;
  /** Rejects when what was committed is no longer where the next start looks for it. Called once a second. */
  check(): Promise<void>;
  status(): Promise<StoreStatus>;
  /**
   * Copies the store into `directory`, an absolute path, which must be missing or empty, while everything goes on; when it
   * rejects, nothing is left of it. Either this or `compact` runs at a time.
   */
  backup(directory: string, options: BackupOptions): Promise<BackedUp>;
  /** Writes what lives in older segments again, removes them, and gives the book's free pages back. */
  compact(options?: UpkeepOptions): Promise<Compacted>;
  /** Ends a backup, or a compact, first. */
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
    | 'store_unsafe'
    | 'store_removed'
    | 'store_full'
    | 'store_failed'
    | 'store_busy'
    | 'store_in_memory'
    | 'backup_outgrown'
    | 'upkeep_ended'
    | 'target_exists'
    | 'backup_damaged'
    | 'backup_missing'
    | 'backup_newer'
    | 'export_damaged'
    | 'export_newer';

  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
