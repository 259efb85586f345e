/**
 * The first page of a book: SQLite's header, and where each table and index begins. It is the same in every book of one
 * version, so one that is damaged hides no row for ever. Offsets as https://sqlite.org/fileformat2.html gives them.
 */
import { closeSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { openBook, pageBytes } from './schema.ts';
import { filesOf } from './write-ahead.ts';

const at = { pageCount: 28, freeList: 32, freePages: 36 } as const;

/** Writes the first page of a new book over that of the one at `path`, which nobody has open. */
export function renewFirstPage(path: string): void {
  const fresh = `${path}.new`;
  openBook(fresh).close();
  try {
    const page = Buffer.alloc(pageBytes);
    withFile(fresh, 'r', (fd) => readSync(fd, page, 0, pageBytes, 0));
    page.writeUInt32BE(Math.floor(statSync(path).size / pageBytes), at.pageCount);
    page.writeUInt32BE(0, at.freeList); // which pages are free is not needed to read
    page.writeUInt32BE(0, at.freePages);
    withFile(path, 'r+', (fd) => writeSync(fd, page, 0, pageBytes, 0));
  } finally {
    for (const file of filesOf(fresh)) rmSync(file, { force: true });
  }
}

function withFile(path: string, flags: string, work: (fd: number) => void): void {
  const fd = openSync(path, flags);
  try {
    work(fd);
  } finally {
    closeSync(fd);
  }
}
