/** The private directories of a store, and what may stand in for them: nothing. */
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { filesOf } from '../book/write-ahead.ts';
import { shellQuoted } from '../text/shell.ts';
import { bookIn, journalIn, stateDirectoryOf } from './layout.ts';
import { isBackup } from './manifest.ts';
import { syncDirectory } from './new-directory.ts';
import { StoreError } from './port.ts';

/**
 * Makes it private from its first instant, and its name durable: what is synced in a directory is lost with the name of the
 * directory. Synced also when it is there already, since the one who made it may have been killed before. A link would lead
 * out of the private directory, so it is refused.
 */
export function prepareDirectory(directory: string, sync: (path: string) => void = syncDirectory): void {
  refuseLink(directory, 'directory');
  try {
    const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
    const highest = first === undefined ? resolve(directory) : resolve(first);
    for (let at = resolve(directory); at.length >= highest.length; at = dirname(at)) syncName(at, sync);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new StoreError(
      'store_unavailable',
      `The store's directory ${directory} cannot be made: ${why}. Name another state directory.`,
      { cause },
    );
  }
}

function syncName(directory: string, sync: (path: string) => void): void {
  try {
    sync(dirname(directory));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    // Only its owner can sync one that we may not read; it is not made by us then.
  }
}

/** What stands in for the book, or for a file that SQLite has beside it. */
export function refuseStrangeBook(directory: string): void {
  for (const file of filesOf(bookIn(directory))) refuseLink(file, 'file');
}

export function refuseLink(path: string, kind: 'file' | 'directory'): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (kind === 'file' ? stat.isFile() : stat.isDirectory())) return;
  const what = stat.isSymbolicLink() ? 'a symbolic link' : `no ${kind}`;
  const advice =
    kind === 'file'
      ? 'Move it away, and put the file itself there if it is elsewhere.'
      : 'Put the directory itself there, or move it away to start with an empty store.';
  throw new StoreError('store_unsafe', `${path} is ${what}; the store lies in its own private directory. ${advice}`);
}

/** Throws a StoreError where a store is named in the place of its state directory: another would be made inside it. */
export function refuseStore(stateDirectory: string): void {
  if (isBackup(stateDirectory))
    throw new StoreError(
      'store_unsafe',
      `${stateDirectory} is a backup. Restore it first with: deye store restore ${shellQuoted(stateDirectory)} --state-dir NEW_DIR`,
    );
  if (existsSync(journalIn(stateDirectory)) && existsSync(bookIn(stateDirectory)))
    throw new StoreError(
      'store_unsafe',
      `${stateDirectory} is a store itself. Name its state directory: ${stateDirectoryOf(stateDirectory)}`,
    );
}
