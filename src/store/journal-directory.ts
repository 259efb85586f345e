/** The journal and the book of one state directory. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BookPosition } from '../book/port.ts';
import { ThreadedBook } from '../book/threaded-book.ts';
import { fileDisk } from '../journal/file-disk.ts';
import { openJournal } from '../journal/open.ts';
import type { Journal } from '../journal/port.ts';
import { JournalStore } from './journal-store.ts';
import { witnessesOf } from './witnesses.ts';

const segmentBytes = 64 * 1024 * 1024;
const sealMs = 100;

/** Opens nothing yet: `load` does. */
export function journalStoreIn(directory: string): JournalStore {
  const journalDirectory = join(directory, 'journal');
  mkdirSync(journalDirectory, { recursive: true, mode: 0o700 });
  const store = new JournalStore({
    book: new ThreadedBook(join(directory, 'book.db')),
    openJournal: (position) => openBeside(journalDirectory, position, (error) => store.fail(error)),
  });
  return store;
}

const openBeside = (directory: string, position: BookPosition | undefined, failed: (error: Error) => void) =>
  openJournal({
    disk: fileDisk(directory),
    segmentBytes,
    sync: 'batch',
    sealMs,
    later: (ms, run) => void setTimeout(run, ms).unref(),
    wallMs: () => Date.now(),
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    failed,
    witnesses: witnessesOf(directory, position),
  }) satisfies Promise<Journal>;
