/**
 * Room in the main file for what the write-ahead file has, taken before that is committed: so saving the book never needs any
 * more of a disk, and on a full one it gives the write-ahead file's back. SQLite takes a file that is longer than its pages.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { isNoSpace } from './error.ts';

const zeros = new Uint8Array(256 * 1024);

export class MainFile {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'r+');
  }

  /** Throws what the system throws. */
  extend(bytes: number): void {
    for (let at = fstatSync(this.#fd).size; at < bytes; )
      at += writeSync(this.#fd, zeros, 0, Math.min(zeros.length, bytes - at), at);
  }

  /** Whether a file of so many bytes may be: tried, and taken back. */
  mayHave(bytes: number): boolean {
    const { size } = fstatSync(this.#fd);
    try {
      writeSync(this.#fd, zeros, 0, 1, Math.max(size, bytes));
      ftruncateSync(this.#fd, size);
      return true;
    } catch (error) {
      return !isNoSpace(error);
    }
  }

  /** Call when SQLite has closed it: the system takes SQLite's locks away with any descriptor that is closed. */
  close(): void {
    closeSync(this.#fd);
  }
}
