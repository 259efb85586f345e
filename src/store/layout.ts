/** Where the parts of a store lie in its state directory. */
import { join } from 'node:path';

export const journalIn = (directory: string): string => join(directory, 'journal');
export const bookIn = (directory: string): string => join(directory, 'book.db');
