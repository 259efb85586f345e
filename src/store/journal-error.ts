/** What goes wrong with the journal or the book, as an error of the store. */
import { BookError } from '../book/error.ts';
import { JournalError } from '../journal/port.ts';
import { StoreError } from './port.ts';

const codes: Readonly<Record<JournalError['code'] | BookError['code'], StoreError['code']>> = {
  journal_damaged: 'store_corrupt',
  journal_foreign: 'store_foreign',
  journal_newer: 'store_newer',
  journal_unavailable: 'store_unavailable',
  journal_failed: 'store_failed',
  book_damaged: 'store_corrupt',
  book_foreign: 'store_foreign',
  book_newer: 'store_newer',
  book_full: 'store_full',
  book_failed: 'store_failed',
};

const advice =
  ' Restore a backup; or see what is damaged with deye store verify, and keep what is whole with deye store salvage.';

export function explainPart(cause: Error): StoreError {
  if (cause instanceof StoreError) return cause;
  if (cause instanceof JournalError || cause instanceof BookError) {
    const code = codes[cause.code];
    return new StoreError(code, `${cause.message}${code === 'store_corrupt' ? advice : ''}`, { cause });
  }
  return new StoreError('store_failed', `The store failed: ${cause.message}`, { cause });
}
