/**
 * What SQLite has written to the write-ahead file. Its index says how many frames there are; a file that is cut while it is
 * written to is shorter, or has zeros where some of them were. Offsets as https://sqlite.org/walformat.html gives them.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import { pageBytes } from './schema.ts';

const [headerBytes, frameHeaderBytes] = [32, 24];
const frameBytes = frameHeaderBytes + pageBytes;
/** Of the last frame that is committed, in the index: in the order of bytes of the machine. */
const lastFrameAt = 16;
/** In the header of the file, and in that of each frame. */
const salts = { inHeader: 16, inFrame: 8, bytes: 8 } as const;
const nothing: Buffer = Buffer.alloc(0);

interface OpenFile {
  readonly size: number;
  read(at: number, count: number): Buffer;
}

export class LogTail {
  readonly #log: string;
  /** Of the index: open as long as SQLite has it, whose locks on it the system takes away with any descriptor that is closed. */
  readonly #index: number | undefined;
  /** The number of the last frame; 0 for none. */
  #last = 0;
  #frame = nothing;
  #salts: Buffer;
  /** SQLite began the file anew when it wrote to it the last time. */
  isNew = false;

  /** @param main the main file of the book, which is open */
  constructor(main: string) {
    this.#log = `${main}-wal`;
    this.#index = openOrNot(`${main}-shm`);
    this.#salts = withFile(this.#log, (log) => log.read(salts.inHeader, salts.bytes)) ?? nothing;
  }

  /** Call before SQLite writes to it: whether what it wrote before is still there. */
  isWhole(): boolean {
    return withFile(this.#log, (log) => this.#hasLast(log)) ?? true;
  }

  /** Call when SQLite has written to it: whether all of that is there, and what was before. */
  written(): boolean {
    if (this.#index === undefined) return true;
    const bytes = readFrom(this.#index, lastFrameAt, 4);
    const last = endianness() === 'LE' ? bytes.readUInt32LE() : bytes.readUInt32BE();
    return withFile(this.#log, (log) => this.#hasAll(log, last)) ?? true;
  }

  /** Call when SQLite has closed the book. */
  close(): void {
    if (this.#index !== undefined) closeSync(this.#index);
  }

  #hasAll(log: OpenFile, last: number): boolean {
    const own = log.read(salts.inHeader, salts.bytes);
    this.isNew = !own.equals(this.#salts);
    let isWhole = last === 0 || (log.size >= endOf(last) && (this.isNew || this.#hasLast(log)));
    for (let frame = this.isNew ? 1 : this.#last + 1; isWhole && frame <= last; frame++)
      isWhole = log.read(endOf(frame - 1) + salts.inFrame, salts.bytes).equals(own);
    this.#last = last;
    this.#salts = own;
    this.#frame = last === 0 ? nothing : log.read(endOf(last - 1), frameBytes);
    return isWhole;
  }

  #hasLast(log: OpenFile): boolean {
    if (this.#last === 0) return true;
    return log.size >= endOf(this.#last) && log.read(endOf(this.#last - 1), frameBytes).equals(this.#frame);
  }
}

const endOf = (frame: number): number => headerBytes + frame * frameBytes;

function withFile<T>(path: string, look: (file: OpenFile) => T): T | undefined {
  const fd = openOrNot(path);
  if (fd === undefined) return undefined;
  try {
    return look({ size: fstatSync(fd).size, read: (at, count) => readFrom(fd, at, count) });
  } finally {
    closeSync(fd);
  }
}

/** Undefined when there is none: one that is removed does no harm to what SQLite has open. */
function openOrNot(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

function readFrom(fd: number, at: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  readSync(fd, bytes, 0, count, at);
  return bytes;
}
