/** What goes wrong with the journal or the book, as an error of the store. */
import { BookError } from '../book/error.ts';
import { UnknownRecordError } from '../core/record-bytes.ts';
import { isFullDisk } from '../journal/file-disk.ts';
import { JournalError } from '../journal/port.ts';
import { StoreError } from './port.ts';

const codes: Readonly<Record<JournalError['code'] | BookError['code'], StoreError['code']>> = {
  journal_damaged: 'store_corrupt',
  journal_foreign: 'store_foreign',
  journal_newer: 'store_newer',
  journal_unsafe: 'store_unsafe',
  journal_full: 'store_full',
  journal_removed: 'store_removed',
  journal_replaced: 'store_removed',
  journal_failed: 'store_failed',
  book_damaged: 'store_corrupt',
  book_foreign: 'store_foreign',
  book_newer: 'store_newer',
  book_removed: 'store_removed',
  book_replaced: 'store_removed',
  book_full: 'store_full',
  book_failed: 'store_failed',
};

const adviseDamaged =
  ' All of the damage is listed by: deye store verify. Restore a backup, or take what is whole with: deye store salvage';
const advice: Readonly<Partial<Record<JournalError['code'] | BookError['code'], string>>> = {
  journal_damaged: adviseDamaged,
  book_damaged: adviseDamaged,
};

export function explainPart(cause: Error): StoreError {
  if (cause instanceof StoreError) return cause;
  if (cause instanceof JournalError || cause instanceof BookError)
    return new StoreError(codes[cause.code], `${cause.message}${advice[cause.code] ?? ''}`, { cause });
  if (cause instanceof UnknownRecordError)
    return new StoreError(
      'store_newer',
      `The journal holds what only a newer deye knows: ${cause.message}. Start the newer deye that wrote it.`,
      { cause },
    );
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (isFullDisk(cause))
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
