/**
 * Whether the write-ahead file belongs to the main file beside it. SQLite takes any that is whole in itself: an older copy of
 * either lays pages of one time over those of another, and rows are missing without a word. So every position says where the
 * main file stood when it was written. A main file stands there still, or, when it was being saved, where the other one ends.
 */
import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { damagedBook } from './error.ts';
import { type Point, positionIn, standingIn, versionOf } from './schema.ts';

/** Of a book that is new. */
export const nowhere: Point = { sequence: 0, crc: 0 };

/** What SQLite has of a book: the main file, and what it keeps beside that while it is open. */
export const filesOf = (path: string): string[] => ['', '-wal', '-shm'].map((suffix) => path + suffix);

export const hasWriteAhead = (path: string): boolean => existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0;

/** SQLite deletes a write-ahead file beside an empty main file. Throws a BookError. */
export function refuseEmptied(path: string): void {
  if (hasWriteAhead(path) && statSync(path, { throwIfNoEntry: false })?.size === 0)
    throw damagedBook(path, 'it is empty, and there is a write-ahead file of one that was not');
}

/** The main file by itself: SQLite makes no file beside it, and looks at none. */
export const mainFileOf = (path: string): string => `${pathToFileURL(path).href}?immutable=1`;

/** Where the main file stands; undefined where that cannot be read, as when the machine died while it was written. */
export function savedIn(path: string): Point | undefined {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(mainFileOf(path), { readOnly: true });
    return versionOf(db, path) === 0 ? nowhere : (positionIn(db, path) ?? nowhere);
  } catch {
    return undefined; // it is laid over by the write-ahead file, or is told when the book is opened
  } finally {
    db?.close();
  }
}

/** @param db the book with its write-ahead file; @param saved where its main file stands. Throws a BookError. */
export function refuseStrange(db: DatabaseSync, path: string, saved: Point): void {
  const standing = standingIn(db, path);
  const isAt = ({ sequence, crc }: Point): boolean => sequence === saved.sequence && crc === saved.crc;
  if (!isAt(standing?.position ?? nowhere) && !isAt(standing?.saved ?? nowhere))
    throw damagedBook(
      path,
      `its write-ahead file, up to batch ${standing?.position.sequence ?? 0}, follows a main file that stands at batch ${standing?.saved.sequence ?? 0}, and this one stands at ${saved.sequence}: one of them is a copy of another time`,
    );
}
