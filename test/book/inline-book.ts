/** The book on SQLite without its thread. */
import type { Book } from '../../src/book/port.ts';
import { SqliteBook } from '../../src/book/sqlite-book.ts';

export function inlineBook(path: string): Book {
  let book: SqliteBook | undefined;
  const run = async <T>(work: (book: SqliteBook) => T | Promise<T>): Promise<T> => {
    book ??= new SqliteBook(path);
    try {
      return await work(book);
    } catch (error) {
      throw book.explain(error);
    }
  };
  return {
    open: () => run((one) => one.open()),
    apply: (records, position) => run((one) => one.apply(records, position)),
    checkpoint: () => run((one) => one.checkpoint()),
    show: (id) => run((one) => one.show(id)),
    attempts: (seq) => run((one) => one.attempts(seq)),
    states: (ids) => run((one) => one.states(ids)),
    list: (filter) => run((one) => one.list(filter)),
    expired: (expiry) => run((one) => one.expired(expiry)),
    shrink: (isAll) => run((one) => one.shrink(isAll)),
    newest: (wallMs, idsAheadMax) => run((one) => one.newest(wallMs, idsAheadMax)),
    size: () => run((one) => one.size()),
    check: () => run((one) => one.check()),
    copyTo: (to) => run((one) => one.copyTo(to)),
    close: async () => {
      book?.close();
      book = undefined;
    },
  };
}
