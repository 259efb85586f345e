/** What goes wrong with the journal or the book, as an error of the store. */
import { BookError } from '../book/error.ts';
import { UnknownRecordError } from '../core/record-bytes.ts';
import { DiskFullError } from '../journal/disk.ts';
import { isFullDisk } from '../journal/file-disk.ts';
import { JournalError } from '../journal/port.ts';
import { shellQuoted } from '../text/shell.ts';
import { stateDirectoryOf } from './layout.ts';
import { StoreError } from './port.ts';

const codes: Readonly<Record<JournalError['code'] | BookError['code'], StoreError['code']>> = {
  journal_damaged: 'store_corrupt',
  journal_foreign: 'store_foreign',
  journal_newer: 'store_newer',
  journal_unsafe: 'store_unsafe',
  journal_full: 'store_full',
  journal_removed: 'store_removed',
  journal_moved: 'store_removed',
  journal_replaced: 'store_removed',
  journal_cut: 'store_removed',
  journal_failed: 'store_failed',
  book_damaged: 'store_corrupt',
  book_foreign: 'store_foreign',
  book_newer: 'store_newer',
  book_removed: 'store_removed',
  book_replaced: 'store_removed',
  book_cut: 'store_failed',
  book_full: 'store_full',
  book_failed: 'store_failed',
};

const damaged: readonly string[] = ['journal_damaged', 'book_damaged'];

/** As words of a command that is typed next. */
export const storeWord = (directory: string | undefined): string =>
  directory === undefined ? 'DIR' : shellQuoted(stateDirectoryOf(directory));

/** A semicolon does no harm to who copies the command with it. */
function adviseDamaged(directory: string | undefined): string {
  const word = storeWord(directory);
  return ` All of the damage is listed by: deye store verify ${word}; restore a backup, or take what is whole with: deye store salvage ${word} NEW_DIR`;
}

/** @param directory of the store, where it has one. */
export function explainPart(cause: Error, directory?: string): StoreError {
  if (cause instanceof StoreError) return cause;
  if (cause instanceof JournalError || cause instanceof BookError) {
    const advice = damaged.includes(cause.code) ? adviseDamaged(directory) : '';
    return new StoreError(codes[cause.code], `${cause.message}${advice}`, { cause });
  }
  if (cause instanceof UnknownRecordError)
    return new StoreError(
      'store_newer',
      `The journal holds what only a newer deye knows: ${cause.message}. Start the newer deye that wrote it.`,
      { cause },
    );
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (cause instanceof DiskFullError || isFullDisk(cause))
    return new StoreError('store_full', `The disk under the store is full (${cause.message}). Free some space.`, {
      cause,
    });
  if (code === 'EROFS')
    return new StoreError(
      'store_unavailable',
      `The state directory lies on a read-only file system (${cause.message}). Mount it writable, or choose another with --state-dir.`,
      { cause },
    );
  if (['EACCES', 'EPERM'].includes(code))
    return new StoreError(
      'store_unavailable',
      `The store cannot be written: ${cause.message}. See whose its files are.`,
      {
        cause,
      },
    );
  return new StoreError('store_failed', `The store failed: ${cause.message}`, { cause });
}

export type Loss = 'removed' | 'moved' | 'replaced' | 'cut';

/** What is gone, and is saved from memory. What a book that is cut has lost the journal has. */
const losses: Partial<Readonly<Record<string, Loss>>> = {
  journal_removed: 'removed',
  journal_moved: 'moved',
  journal_replaced: 'replaced',
  journal_cut: 'cut',
  book_removed: 'removed',
  book_replaced: 'replaced',
};

/** How files of the store were lost while it was open, when that is what went wrong. */
export const lossOf = (error: Error): Loss | undefined => ('code' in error ? losses[String(error.code)] : undefined);
