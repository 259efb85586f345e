/** A book whose errors are those of the store that it belongs to, in `directory`. */
import type { Book, BookPosition } from '../book/port.ts';
import { explainPart } from './journal-error.ts';
import { StoreError } from './port.ts';

export function explainedBook(book: Book, directory?: string): Book {
  const explained = <T>(asked: Promise<T>): Promise<T> =>
    asked.catch((error: Error) => {
      throw explainPart(error, directory);
    });
  return {
    open: () => explained(book.open()),
    apply: (records, position) => explained(book.apply(records, position)),
    checkpoint: () => explained(book.checkpoint()),
    show: (id) => explained(book.show(id)),
    attempts: (seq) => explained(book.attempts(seq)),
    states: (ids) => explained(book.states(ids)),
    list: (filter) => explained(book.list(filter)),
    expired: (expiry) => explained(book.expired(expiry)),
    newest: (wallMs, idsAheadMax) => explained(book.newest(wallMs, idsAheadMax)),
    shrink: (isAll) => explained(book.shrink(isAll)),
    size: () => explained(book.size()),
    check: () => explained(book.check()),
    copyTo: (path) => explained(book.copyTo(path)),
    close: () => explained(book.close()),
  };
}

/** Where it stands, once that is safe: what was just read may stand in the page cache only. */
export async function openSafe(book: Book): Promise<BookPosition | undefined> {
  const stood = await book.open();
  const position = await book.checkpoint();
  if (stood !== undefined && position === undefined)
    throw new StoreError('store_unavailable', 'Another program reads the book. Close it, and start again.');
  return position;
}
