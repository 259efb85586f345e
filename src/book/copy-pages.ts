/** A copy of a book as it is at one moment, page by page: tables stay where they are in every book (`first-page.ts`). */
import { closeSync, openSync } from 'node:fs';
import { backup, type DatabaseSync } from 'node:sqlite';

/** In one step: a copy in several begins again each time a broker writes. */
const allPages = 2 ** 31 - 1;

/** Into a new file that only we may read. */
export async function copyPages(db: DatabaseSync, path: string): Promise<void> {
  closeSync(openSync(path, 'wx', 0o600));
  await backup(db, path, { rate: allPages });
}
