/** A book whose errors are those of the store that it belongs to, in `directory`. */
import type { Book } from '../book/port.ts';
import { explainPart } from './journal-error.ts';

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
    unsaved: () => explained(book.unsaved()),
    check: () => explained(book.check()),
    copyTo: (path) => explained(book.copyTo(path)),
    close: () => explained(book.close()),
  };
}
