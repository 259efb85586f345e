/** What goes wrong with the journal or the book, as an error of the store. */
import { BookError } from '../book/error.ts';
import { JournalError } from '../journal/port.ts';
import { StoreError } from './port.ts';

const codes: Readonly<Record<JournalError['code'] | BookError['code'], StoreError['code']>> = {
  journal_damaged: 'store_corrupt',
  journal_foreign: 'store_foreign',
  journal_newer: 'store_newer',
  journal_unavailable: 'store_unavailable',
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

export function explainPart(cause: Error): StoreError {
  if (cause instanceof StoreError) return cause;
  if (cause instanceof JournalError || cause instanceof BookError)
    return new StoreError(codes[cause.code], cause.message, { cause });
  return new StoreError('store_failed', `The store failed: ${cause.message}`, { cause });
}
