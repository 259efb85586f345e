/** The journal and the book in one directory, the store's own. */
import type { Sync } from '../protocol/schema.ts';
import { DirectoryBook } from './directory-book.ts';
import { openJournalIn } from './journal-files.ts';
import { JournalStore } from './journal-store.ts';
import { bookIn, journalIn } from './layout.ts';
import { prepareDirectory, refuseStrangeBook } from './own-directory.ts';
import { rescue } from './rescue.ts';
import { witnessesOf } from './witnesses.ts';

interface DirectoryOptions {
  /** The store's epochs are larger than this. */
  readonly epoch?: number;
  /** Of the largest segment. */
  readonly segmentBytes?: number | undefined;
  /** Default: `batch`. */
  readonly sync?: DiskSync;
}

/** How durable a commit is when it is answered. */
export type DiskSync = Exclude<Sync, 'none'>;
const laterMs = 100;

/** Opens nothing yet: `load` does. */
export function journalStoreIn(
  directory: string,
  { epoch = 0, segmentBytes, sync = 'batch' }: DirectoryOptions = {},
): JournalStore {
  const [journalDirectory, bookFile] = [journalIn(directory), bookIn(directory)];
  const book = new DirectoryBook(bookFile);
  const store = new JournalStore({
    book,
    directory,
    prepare: () => {
      prepareDirectory(directory);
      prepareDirectory(journalDirectory);
      refuseStrangeBook(directory);
    },
    rescue: (lost, how, content) => rescue({ directory, lost, how, wallMs: Date.now(), content }),
    sync,
    openJournal: (position, watch) =>
      openJournalIn(journalDirectory, {
        ...watch,
        segmentBytes,
        sync: sync === 'batch' ? sync : laterMs,
        failed: (error) => store.fail(error),
        synced: () => store.synced(),
        witnesses: witnessesOf(journalDirectory, position, epoch),
      }).catch((error) => {
        book.refused();
        throw error;
      }),
  });
  return store;
}
