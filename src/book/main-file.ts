/**
 * Room in the main file for what the write-ahead file has, taken before that is committed: so saving the book never needs any
 * more of a disk, and on a full one it gives the write-ahead file's back. SQLite takes a file that is longer than its pages.
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';

const zeros = new Uint8Array(256 * 1024);

export class MainFile {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'r+');
  }

  /** Bytes it has. */
  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Throws what the system throws. */
  extend(bytes: number): void {
    for (let at = this.size; at < bytes; ) at += writeSync(this.#fd, zeros, 0, Math.min(zeros.length, bytes - at), at);
  }

  /** Call when SQLite has closed it: the system takes SQLite's locks away with any descriptor that is closed. */
  close(): void {
    closeSync(this.#fd);
  }
}
