/** Both parts of a store in a state directory, opened to be read only. */
import { existsSync } from 'node:fs';
import { BookReader } from '../book/book-reader.ts';
import type { BookPosition } from '../book/port.ts';
import { fileDisk } from '../journal/file-disk.ts';
import { JournalError } from '../journal/port.ts';
import { type Survey, surveyJournal } from '../journal/survey.ts';
import { explainPart, storeWord } from './journal-error.ts';
import { bookIn, journalIn } from './layout.ts';
import { refuseStrangeBook } from './own-directory.ts';
import { StoreError } from './port.ts';
import type { Progress } from './progress.ts';

export interface Parts extends AsyncDisposable {
  readonly book: BookReader | undefined;
  /** Why there is none, or no position, when it is there. */
  readonly bookError: Error | undefined;
  readonly position: BookPosition | undefined;
  readonly survey: Survey;
}

/**
 * @param isMoving whether a broker writes to them meanwhile.
 * @param salvaged where the book was copied for a salvage, which takes what there is: the journal may be gone.
 * Rejects with a StoreError or a JournalError.
 */
export async function openParts(
  directory: string,
  isMoving: boolean,
  progress: Progress = () => {},
  salvaged?: string,
): Promise<Parts> {
  const { book, bookError, position } = openBookIn(salvaged ?? directory, isMoving);
  try {
    const found = existsSync(journalIn(directory))
      ? await surveyJournal(fileDisk(journalIn(directory), { readOnly: true }), (done, all) =>
          progress('reading the journal', Math.min(done, all), all),
        )
      : undefined;
    const survey = found ?? (salvaged === undefined || position === undefined ? undefined : noJournal(position));
    if (survey === undefined) throw missing(directory, book !== undefined || bookError !== undefined);
    return {
      book,
      bookError,
      position,
      survey,
      [Symbol.asyncDispose]: async () => {
        book?.[Symbol.dispose]();
        await survey[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    book?.[Symbol.dispose]();
    throw isAnswer(error) ? explainPart(error) : error;
  }
}

const noJournal = ({ storeId }: BookPosition): Survey => ({
  storeId: Buffer.from(storeId, 'hex'),
  hasIdentity: false,
  segments: [],
  async *bodies() {},
  [Symbol.asyncDispose]: async () => {},
});

/** It says all there is to say of the store, whoever looks at it. */
const isAnswer = (error: unknown): error is JournalError =>
  error instanceof JournalError && ['journal_newer', 'journal_unsafe'].includes(error.code);

function openBookIn(directory: string, isMoving: boolean): Pick<Parts, 'book' | 'bookError' | 'position'> {
  const nothing = { book: undefined, bookError: undefined, position: undefined };
  refuseStrangeBook(directory);
  if (!existsSync(bookIn(directory))) return nothing;
  let book: BookReader | undefined;
  try {
    book = new BookReader(bookIn(directory), isMoving);
    return { book, bookError: undefined, position: book.position };
  } catch (error) {
    if (book !== undefined && hasRows(book)) return { ...nothing, book, bookError: error as Error };
    book?.[Symbol.dispose]();
    return { ...nothing, bookError: error as Error };
  }
}

/** Only where it stands is damaged. */
function hasRows(book: BookReader): boolean {
  try {
    return book.count >= 0;
  } catch {
    return false;
  }
}

const missing = (directory: string, hasBook: boolean): Error =>
  hasBook
    ? new StoreError(
        'store_corrupt',
        `The book is in ${directory}, and the journal is not: its files were removed. Restore a backup, or take what has ended with: deye store salvage ${storeWord(directory)} NEW_DIR`,
      )
    : new StoreError(
        'store_unavailable',
        existsSync(`${directory}/deye.db`)
          ? `There is no journal in ${directory}, but a store of an earlier deye: deye.db. Start a broker on it once, to bring it over.`
          : `There is no store in ${directory}. Name the state directory of a broker.`,
      );
