/**
 * The book's port: what has ended. It follows the journal behind the critical path: it is given the rows of batches that
 * are synced, in order, and remembers, in the same transaction, which batch was the last. Nothing that lives is in it.
 * What it loses can be given to it again as long as the journal has it, so a position counts only once it is saved.
 */
import type { Expired } from '../core/expire.ts';
import type { AttemptRecord, StoredTask } from '../core/record.ts';
import type { TaskState } from '../protocol/state.ts';

/** The last batch whose rows are in the book. */
export interface BookPosition {
  /** Hexadecimal. */
  readonly storeId: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly crc: number;
}

export interface EndedTask extends StoredTask {
  readonly attempts: readonly AttemptRecord[];
  readonly result: Uint8Array | undefined;
}

export interface EndedFilter {
  /** None: all of them. */
  readonly states: readonly TaskState[];
  readonly operation: string | undefined;
  readonly collectorId: string | undefined;
  /** Only tasks accepted before this one. */
  readonly beforeSeq: number | undefined;
  readonly limit: number;
}

/** What is kept no longer: by when ended tasks are kept from (`keptFromMs`), in wall time, and by how much there is of them. */
export interface Expiry {
  readonly beforeMs: number;
  readonly deadLettersBeforeMs: number;
  readonly tasksMax: number;
  readonly bytesMax: number;
  /** The clock. */
  readonly wallMs: number;
  /** Most tasks of one slice. */
  readonly limit: number;
}

/** The newest of what is in the book, seen at a moment of the wall clock. */
export interface Newest {
  /** The greatest id whose time is not ahead of that moment. */
  readonly id: string | undefined;
  /** Ids that are ahead of it, the greatest first, at most so many as were asked for. */
  readonly idsAhead: readonly string[];
  /** When the latest task ended. */
  readonly endedAtMs: number | undefined;
  /** The greatest `seq`; 0 when there is none. */
  readonly seq: number;
}

export interface BookSize {
  /** Of its files. */
  readonly bytes: number;
  /** Ended tasks in it. */
  readonly tasks: number;
}

export interface Shrunk {
  readonly isMore: boolean;
  /** How many bytes wait for the next checkpoint, about. */
  readonly unsavedBytes: number;
}

export interface Book {
  /** Call once, before anything else: where the book stands, or undefined when it is new. */
  open(): Promise<BookPosition | undefined>;
  /**
   * Enters records, as bytes (`core/record-bytes.ts`), and moves to `position`, whole or not at all:
   *
   *   - `task`: in a state that is an end, its row; in another, the row goes away, since the task lives again;
   *   - `moved`, with a result: the result of the row before;
   *   - `attempt`: a row of its own;
   *   - `purged`: the rows go away, with all that belongs to them;
   *   - `trimmed`: their bodies go away.
   *
   * Answers how many bytes wait for the next checkpoint, about.
   */
  apply(records: Uint8Array<ArrayBuffer>, position: BookPosition): Promise<number>;
  /**
   * Saves what was applied beyond what a crash can take; answers the position that is safe from now on, or undefined when
   * nothing more is, because another program reads the book at this moment. It needs no room on the disk that `apply` and
   * `shrink` have not taken.
   */
  checkpoint(): Promise<BookPosition | undefined>;
  show(id: string): Promise<EndedTask | undefined>;
  /** Of a task that has ended, or lives. */
  attempts(seq: number): Promise<readonly AttemptRecord[]>;
  /** The states of those of the ids that have ended. */
  states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>>;
  /** Newest first. Payloads are left out (empty). */
  list(filter: EndedFilter): Promise<readonly StoredTask[]>;
  /**
   * The oldest of what is kept longer or beyond its limit, as much as is deleted in a few milliseconds; deleting it is a
   * `purged` or `trimmed` record.
   */
  expired(expiry: Expiry): Promise<Expired>;
  /**
   * Gives free pages back to the disk, as many as that takes a few milliseconds: all of them, or those beyond what the file
   * may have for rows to come. They leave with the next checkpoint.
   */
  shrink(isAll: boolean): Promise<Shrunk>;
  newest(wallMs: number, idsAheadMax: number): Promise<Newest>;
  size(): Promise<BookSize>;
  /** Rejects with `book_removed`, `book_replaced` or `book_cut` when its files are not what they were. */
  check(): Promise<void>;
  /** Writes all that is in it into a new file; it need not be where it was opened any more. */
  copyTo(path: string): Promise<void>;
  close(): Promise<void>;
}
