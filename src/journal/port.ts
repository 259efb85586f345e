/**
 * The journal's port: what must not be lost, in the order in which it was decided. A batch is one group commit; it is
 * whole or it is not there. State, bodies and the book refer to batches by sequence, never by file, so that a replicated
 * log can stand behind the same port. One conformance suite (test/conformance/journal.ts) holds every engine to it.
 */

/** A batch as it is read back. */
export interface StoredBatch {
  readonly epoch: number;
  readonly sequence: number;
  /** Identifies the batch and all before it. */
  readonly crc: number;
  /** How many records `body` holds; 0 for what the journal writes for itself. */
  readonly records: number;
  /** Valid until the next batch is asked for. */
  readonly body: Uint8Array;
}

/**
 * What became of an append: it is durable, or not there and never will be (`refused`: another epoch or sequence is
 * current; `full`: there is no space), or nobody knows (`unknown`: append the same again).
 */
export type Appended = 'committed' | 'refused' | 'full' | 'unknown';

/** Where a copy of the journal's content stands: the last batch in it. */
export interface Position {
  readonly sequence: number;
  readonly crc: number;
}

export interface Journal {
  /** Hexadecimal; drawn when the store was made. */
  readonly storeId: string;
  /** Of this start: larger than that of any start before, durable before anything is answered. */
  readonly epoch: number;
  /** The last batch that was appended. */
  readonly last: Position;
  /** The last batch that is known to be synced. */
  readonly synced: Position;
  /** The first batch that is kept. */
  readonly first: number;
  /** Largest body of a batch, in bytes. */
  readonly bodyBytesMax: number;
  /**
   * Appends one batch made of `parts`; the parts must not change until it is done. One append is in flight at a time.
   * Rejects with a JournalError when the disk failed; nothing can be appended after that.
   */
  append(parts: readonly Uint8Array[], records: number, expectedSequence: number): Promise<Appended>;
  /** The batches from `from` on, up to what was synced when it was called. */
  read(from: number): AsyncIterable<StoredBatch>;
  /**
   * The largest body that can be appended next without a segment being prepared for it: then it does not matter whether
   * the disk is full. `ahead` bytes are those of an append that is in flight.
   */
  roomAfter(ahead: number): number;
  /** Tries to make room for such a body, and for what should be kept ahead. Resolves when it was tried. */
  makeRoom(bodyBytes: number): Promise<void>;
  /** Begins the next segment, so that everything before may be released. False on a full disk. */
  turn(): Promise<boolean>;
  /** How large a segment is that is made for so many bytes. */
  segmentFor(bytes: number): number;
  /**
   * Gives back what is kept ready in segments that are larger than one for so many bytes; by default, than what would be made
   * ready now. Something is ready all the time.
   */
  trim(bytes?: number): Promise<void>;
  /** Rejects when the files are no longer those that the next start will find. */
  check(): Promise<void>;
  /**
   * Some bytes of the body of a batch that is kept. What stands there is not checked: whoever asks knows its checksum.
   * Rejects when the batch is not kept any more.
   */
  readAt(sequence: number, offset: number, length: number): Promise<Uint8Array>;
  /**
   * A named reader: nothing from `sequence` on is released while it stands there. `undefined` takes the name away.
   * What nobody holds may be released, oldest first, after a floor that says so is synced.
   */
  hold(name: string, sequence: number | undefined): void;
  readonly holds: ReadonlyMap<string, number>;
  /** Everything appended before is synced, and a floor that was stated before is obeyed. */
  sync(): Promise<void>;
  readonly space: JournalSpace;
  close(): Promise<void>;
}

export interface JournalSpace {
  /** All segments in use, in bytes, as on disk. */
  readonly usedBytes: number;
  /** On disk beside them: prepared for what comes, or released and kept to be used again. */
  readonly readyBytes: number;
  readonly segments: number;
  /** The last batch of the oldest segment, when that could be released: what lives in it is to be written again. Else 0. */
  readonly oldestLast: number;
  /** The last batch before the newest segment, when there is an earlier one. Else 0. */
  readonly olderLast: number;
  /** Nothing new should be accepted: the disk has no room for the segments that are kept ahead. */
  readonly full: boolean;
}

/** An operational error of a journal; `code` is stable. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
  readonly code:
    | 'journal_damaged'
    | 'journal_foreign'
    | 'journal_newer'
    | 'journal_unsafe'
    | 'journal_full'
    | 'journal_removed'
    | 'journal_moved'
    | 'journal_replaced'
    | 'journal_cut'
    | 'journal_failed';

  constructor(code: JournalError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
