/** The journal and the book of one state directory. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { BookPosition } from '../book/port.ts';
import { ThreadedBook } from '../book/threaded-book.ts';
import { fileDisk } from '../journal/file-disk.ts';
import { openJournal } from '../journal/open.ts';
import { type Journal, JournalError } from '../journal/port.ts';
import { JournalStore } from './journal-store.ts';
import { bookIn, journalIn } from './layout.ts';

const segmentBytesDefault = 64 * 1024 * 1024;
const sealMs = 100;

/** Opens nothing yet: `load` does. */
export function journalStoreIn(directory: string, segmentBytes?: number): JournalStore {
  const journalDirectory = journalIn(directory);
  mkdirSync(journalDirectory, { recursive: true, mode: 0o700 });
  const store = new JournalStore({
    book: new ThreadedBook(bookIn(directory)),
    openJournal: (position) =>
      openJournalIn(journalDirectory, segmentBytes, (error) => store.fail(error), witnessOf(directory, position)),
  });
  return store;
}

type Witness = Parameters<typeof openJournal>[0]['witnesses'];

/** @param failed is told when the disk fails outside an append. */
export const openJournalIn = (
  directory: string,
  segmentBytes: number | undefined,
  failed: (error: Error) => void,
  witnesses: Witness,
): Promise<Journal> =>
  openJournal({
    disk: fileDisk(directory),
    segmentBytes: segmentBytes ?? segmentBytesDefault,
    sync: 'batch',
    sealMs,
    later: (ms, run) => void setTimeout(run, ms).unref(),
    wallMs: () => Date.now(),
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    failed,
    witnesses,
  });

/** What the book says of the journal beside it. */
const witnessOf =
  (directory: string, position: BookPosition | undefined): Witness =>
  async (id) => {
    // A journal that was released in part has a book: without it what has ended would be lost in silence.
    if (position === undefined) return id === undefined ? {} : { book: { sequence: 0, crc: 0 } };
    const storeId = id === undefined ? undefined : Buffer.from(id).toString('hex');
    if (storeId !== undefined && storeId !== position.storeId)
      throw new JournalError(
        'journal_foreign',
        `The journal in ${directory} and the book beside it belong to different stores. ` +
          'Put back the book that belongs to it, or restore a backup of both.',
      );
    return { book: position, epoch: position.epoch };
  };
