/** What goes wrong with the book, and what SQLite's errors mean for it. */

/** Primary result codes of SQLite, as https://sqlite.org/rescode.html numbers them. */
const code = { corrupt: 11, full: 13, notADatabase: 26 } as const;
/** IOERR_WRITE: a disk that fails, or a limit on a file's size. */
const writeFailed = 778;

/** Whether the system says that a disk is full, or a file's size limited. */
export const isNoSpace = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '');

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

/**
 * Any error as a BookError.
 *
 * @param canGrow whether its files may be longer than they are: SQLite does not say why it could not write
 */
export function explainBook(path: string, cause: unknown, canGrow: () => boolean = () => false): BookError {
  if (cause instanceof BookError) return cause;
  const { errcode = 0, message } = cause as { errcode?: number; message: string };
  if (isNoSpace(cause) || (errcode === writeFailed && !canGrow())) return fullBook(path, cause);
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
