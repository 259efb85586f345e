/** The journal and the book in one directory, the store's own. */
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { ThreadedBook } from '../book/threaded-book.ts';
import { fileDisk } from '../journal/file-disk.ts';
import { openJournal } from '../journal/open.ts';
import type { Journal } from '../journal/port.ts';
import { JournalStore } from './journal-store.ts';
import { bookIn, journalIn } from './layout.ts';
import { StoreError } from './port.ts';
import { witnessesOf } from './witnesses.ts';

const segmentBytesDefault = 64 * 1024 * 1024;
const sealMs = 100;

interface DirectoryOptions {
  /** The store's epochs are larger than this. */
  readonly epoch?: number;
  /** Of the largest segment. */
  readonly segmentBytes?: number | undefined;
}

/** Opens nothing yet: `load` does. */
export function journalStoreIn(directory: string, { epoch = 0, segmentBytes }: DirectoryOptions = {}): JournalStore {
  const [journalDirectory, bookFile] = [journalIn(directory), bookIn(directory)];
  const store = new JournalStore({
    book: new ThreadedBook(bookFile),
    prepare: () => {
      prepareDirectory(directory);
      prepareDirectory(journalDirectory);
      for (const file of [bookFile, `${bookFile}-wal`, `${bookFile}-shm`]) refuseLink(file, 'file');
    },
    openJournal: (position) =>
      openJournalIn(
        journalDirectory,
        segmentBytes,
        (error) => store.fail(error),
        witnessesOf(journalDirectory, position, epoch),
      ),
  });
  return store;
}

/** Makes it private from its first instant. A link would lead out of the private directory, so it is refused. */
function prepareDirectory(directory: string): void {
  refuseLink(directory, 'directory');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const why = (cause as Error).message;
    throw new StoreError('store_unavailable', `The store's directory cannot be made: ${why}.`, { cause });
  }
}

function refuseLink(path: string, kind: 'file' | 'directory'): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (kind === 'file' ? stat.isFile() : stat.isDirectory())) return;
  const what = stat.isSymbolicLink() ? 'a symbolic link' : `no ${kind}`;
  throw new StoreError(
    'store_unsafe',
    `${path} is ${what}; the store lies in its own private directory. Put the ${kind} itself there, or move it away to start with an empty store.`,
  );
}

/** @param failed is told when the disk fails outside an append. */
export const openJournalIn = (
  directory: string,
  segmentBytes: number | undefined,
  failed: (error: Error) => void,
  witnesses: Parameters<typeof openJournal>[0]['witnesses'],
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
