/** How much may gather in the journal and before the book, in bytes. */
export interface StoreSizes {
  /** Up to here the journal is left alone; beyond it, what lives in its oldest segment is written again. */
  readonly idleBytes: number;
  /** The book gets what there is when this much is to be entered, or so many ms after the first of it. */
  readonly gatherBytes: number;
  readonly gatherMs: number;
  /** Of one transaction of the book, at most. */
  readonly applyBytes: number;
  /** The book is made safe after so many of the journal, which must keep them until then. */
  readonly checkpointBytes: number;
  /** After so many bytes of pages deletions are made safe: they take few records and many pages, and so are many short pauses. */
  readonly deletedBytes: number;
  /** Beyond this, commits wait for the book. */
  readonly backlogBytes: number;
}

const mebibyte = 1024 * 1024;

export const storeSizes: StoreSizes = {
  idleBytes: 256 * mebibyte,
  gatherBytes: 0.5 * mebibyte,
  gatherMs: 50,
  applyBytes: 4 * mebibyte,
  checkpointBytes: 16 * mebibyte,
  deletedBytes: 2 * mebibyte,
  backlogBytes: 64 * mebibyte,
};
