/**
 * Makes the files of a store small: what lives is written again in new segments of the journal, in batches of their own
 * between the commits, and all older segments are released and removed, with whatever damage they had; then the book's free
 * pages are given back. It may end after any batch, since each is whole.
 */
import type { Book } from '../book/port.ts';
import { bytesOf } from '../core/record-size.ts';
import { type Journal, JournalError } from '../journal/port.ts';
import type { Compacted } from '../protocol/store-methods.ts';
import type { Rewrite } from './batches.ts';
import type { BookFeed } from './book-feed.ts';
import { isTooLarge, wantedBytes } from './journal-size.ts';
import type { LiveState } from './live-state.ts';
import { type Room, StoreError } from './port.ts';
import { relieve } from './relieve.ts';
import type { Rewriting } from './rewriting.ts';

/** Of a batch, so that no commit waits long behind one. */
const batchBytes = 1024 * 1024;
/** What such a batch may have beside. */
const ownBytes = 1024;

export interface CompactParts {
  readonly journal: Journal;
  readonly live: LiveState;
  readonly rewriting: Rewriting;
  readonly feed: BookFeed;
  readonly book: Book;
  readonly room: () => Room;
  /** Commits a batch without records but those that are written again. */
  readonly append: (rewrite: Rewrite) => Promise<void>;
}

/** Rejects with the reason of the signal when that is aborted. */
export async function compact(parts: CompactParts, signal: AbortSignal): Promise<Compacted> {
  const { journal, book, room } = parts;
  const before = journal.space;
  const bookBefore = (await book.size()).bytes;
  if (room().full) await relieve(parts);
  if (room().full) throw noRoom();
  if (isTooLarge(parts) || !(await isWhole(journal))) await renew(parts, signal);
  await shrinkBook(parts, signal);
  const after = journal.space;
  return {
    journal: {
      ...{ bytes_before: before.usedBytes, bytes_after: after.usedBytes },
      ...{ ready_before: before.readyBytes, ready_after: after.readyBytes },
    },
    book: { bytes_before: bookBefore, bytes_after: (await book.size()).bytes },
  };
}

/** A batch that has changed on the disk goes with its segment. */
async function isWhole(journal: Journal): Promise<boolean> {
  journal.hold('compact', journal.first); // commits release what is read here
  try {
    for await (const _ of journal.read(journal.first));
    return true;
  } catch (error) {
    if (error instanceof JournalError && error.code === 'journal_damaged') return false;
    throw error;
  } finally {
    journal.hold('compact', undefined);
  }
}

/** All that lives to new segments; the others go. */
async function renew(parts: CompactParts, signal: AbortSignal): Promise<void> {
  const { journal, feed } = parts;
  const segmentBytes = wantedBytes(parts);
  await journal.trim(segmentBytes);
  await turn(parts);
  await rewrite(parts, journal.space.olderLast, signal);
  await feed.flush(); // what has ended holds its segment until the book is safe
  await turn(parts); // the segment before the newest is always kept: now that has nothing old
  await release(parts, signal);
  await journal.trim(segmentBytes);
}

async function rewrite(parts: CompactParts, upTo: number, signal: AbortSignal): Promise<void> {
  const { live, rewriting } = parts;
  // A payload that cannot be read stays where it is, until its task ends; what is older than it is gone by then.
  for (let stuck = 0; stuck < 2; ) {
    const { oldest } = live;
    if (oldest === undefined || oldest.batch > upTo) return;
    const bytes = Math.max(batchBytes, bytesOf(live.fullRecord(oldest.key)) + ownBytes);
    await parts.journal.makeRoom(Math.min(bytes, parts.journal.bodyBytesMax));
    await append(parts, { upTo, most: batchBytes }, signal);
    await rewriting.reading;
    const now = live.oldest;
    stuck = now?.key === oldest.key && now.batch === oldest.batch ? stuck + 1 : 0;
  }
}

/** The first batch lets go of what was written again; the second says so, in its floor. */
async function release(parts: CompactParts, signal: AbortSignal): Promise<void> {
  for (let count = 0; count < 2; count++) {
    await append(parts, { upTo: 0, most: 0 }, signal);
    await parts.journal.sync();
  }
}

async function turn({ journal }: CompactParts): Promise<void> {
  if (!(await journal.turn())) throw noRoom();
}

async function append({ room, append: write }: CompactParts, what: Rewrite, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  // What is left on a full disk is for ending what was accepted.
  if (room().full) throw noRoom();
  await write(what);
}

const noRoom = (): StoreError =>
  new StoreError('store_full', 'There is no room to write what lives again: the disk is full.');

/** Ends when the book gets no smaller: rows that are deleted meanwhile may free as much as is given back. */
async function shrinkBook({ book }: CompactParts, signal: AbortSignal): Promise<void> {
  for (let [bytes, isMore] = [Number.POSITIVE_INFINITY, true]; isMore; ) {
    signal.throwIfAborted();
    ({ isMore } = await book.shrink(true));
    await book.checkpoint(); // so that its write-ahead file stays small, too
    const now = (await book.size()).bytes;
    isMore &&= now < bytes;
    bytes = now;
  }
}
