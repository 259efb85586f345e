/** What the store may rely on of a book that it opens. */
import { BookError } from '../book/error.ts';
import type { Book, BookPosition } from '../book/port.ts';
import { StoreError } from './port.ts';

/**
 * The batch up to which all is safe in the book: where it stands, once that is saved, since what was just read may be in the
 * page cache only. On a full disk it may not grow now; then what it had before, and the journal has the rest.
 */
export async function savedUpTo(book: Book, stood: BookPosition | undefined): Promise<number> {
  try {
    const saved = await book.checkpoint();
    if (stood !== undefined && saved === undefined)
      throw new StoreError('store_unavailable', 'Another program reads the book. Close it, and start again.');
    return saved?.sequence ?? 0;
  } catch (error) {
    if (!(error instanceof BookError) || error.code !== 'book_full') throw error;
    return (await book.unsaved()).savedUpTo;
  }
}
