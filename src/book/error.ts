/** What goes wrong with the book, and what SQLite's errors mean for it. */
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';

/** Primary result codes of SQLite, as https://sqlite.org/rescode.html numbers them. */
const code = { corrupt: 11, full: 13, notADatabase: 26 } as const;
/** IOERR_WRITE: a disk that fails, or a limit on a file's size. */
const writeFailed = 778;

/** More than SQLite writes at once. */
const triedBytes = 128 * 1024;
/** What the system says of a full disk, or of a limit. */
const fullNames: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** An operational error of a book; `code` is stable. */
export class BookError extends Error {
  override readonly name = 'BookError';
  readonly code:
    | 'book_damaged'
    | 'book_foreign'
    | 'book_newer'
    | 'book_removed'
    | 'book_replaced'
    | 'book_cut'
    | 'book_full'
    | 'book_failed';

  /** What of it is damaged, where a part has a name. */
  readonly what: string | undefined;

  constructor(code: BookError['code'], message: string, options?: ErrorOptions & { readonly what?: string }) {
    super(message, options);
    this.code = code;
    this.what = options?.what;
  }
}

export const damagedBook = (path: string, what: string, cause?: unknown): BookError =>
  new BookError('book_damaged', `The book ${path} is damaged (${what}). It was not changed.`, { cause, what });

const fullBook = (path: string, cause: unknown): BookError =>
  new BookError('book_full', `The book ${path} cannot grow: the disk is full, or its size is limited.`, { cause });

/** Whether a file may be longer than those of the book are: tried, since SQLite does not say why it could not write. */
function canGrow(path: string): boolean {
  const longest = Math.max(
    ...['', '-wal'].map((suffix) => statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0),
  );
  const tried = `${path}.tried`;
  try {
    const fd = openSync(tried, 'w', 0o600);
    try {
      writeSync(fd, new Uint8Array(1), 0, 1, longest + triedBytes);
    } finally {
      closeSync(fd);
      rmSync(tried);
    }
    return true;
  } catch (error) {
    return !fullNames.includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

/** Any error as a BookError. */
export function explainBook(path: string, cause: unknown): BookError {
  if (cause instanceof BookError) return cause;
  const { errcode = 0, code: name = '', message } = cause as { errcode?: number; code?: string; message: string };
  if (fullNames.includes(name) || (errcode === writeFailed && !canGrow(path))) return fullBook(path, cause);
  switch (errcode & 0xff) {
    case code.corrupt:
    case code.notADatabase:
      return damagedBook(path, message, cause);
    case code.full:
      return fullBook(path, cause);
    default:
      return new BookError('book_failed', `The book ${path} failed: ${message}.`, { cause });
  }
}
