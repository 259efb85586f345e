/**
 * What a book says of the journal that stands beside it. A new one says that the journal must begin with its first batch:
 * what left it before had its rows in a book.
 */
import type { BookPosition } from '../book/port.ts';
import { JournalError } from '../journal/port.ts';
import type { Witnesses } from '../journal/recovery.ts';

/**
 * @param place the directory of the journal, for people.
 * @param epoch one that the store had under another id.
 */
export const witnessesOf =
  (place: string, position: BookPosition | undefined, epoch = 0) =>
  async (id: Uint8Array | undefined): Promise<Witnesses & { readonly epoch?: number | undefined }> => {
    if (position === undefined) return id === undefined ? { epoch } : { book: { sequence: 0, crc: 0 }, epoch };
    const storeId = id === undefined ? undefined : Buffer.from(id).toString('hex');
    if (storeId !== undefined && storeId !== position.storeId)
      throw new JournalError(
        'journal_foreign',
        `The journal in ${place} and the book beside it belong to different stores. ` +
          'Put back the book that belongs to it, or restore a backup of both.',
      );
    return { book: position, epoch: Math.max(epoch, position.epoch) };
  };
