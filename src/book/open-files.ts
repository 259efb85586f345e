/**
 * The files of the book while SQLite has them open. One that is removed or replaced is written to as before, and is gone
 * with the process; one that is cut grows again with zeros in the place of what it held.
 */
import { lstatSync } from 'node:fs';
import { BookError } from './error.ts';
import { LogTail } from './log-tail.ts';

interface Seen {
  readonly identity: string;
  readonly bytes: bigint;
}

export class OpenFiles {
  readonly #opened: Map<string, Seen | undefined>;
  readonly #log: string;
  readonly #tail: LogTail;

  /**
   * Call when SQLite has opened them; it makes no others of them while it is open.
   *
   * @param main the main file
   */
  constructor(main: string) {
    this.#log = `${main}-wal`;
    this.#opened = new Map([main, this.#log].map((file) => [file, seen(file)]));
    this.#tail = new LogTail(main);
  }

  /** Throws a BookError when they are not those that were opened, or shorter than `written` found them. */
  check(): void {
    this.checkLength();
    for (const [file, before] of this.#opened) {
      const now = seen(file);
      if (now?.identity === before?.identity) continue;
      const how = now === undefined ? 'removed' : 'replaced';
      throw new BookError(`book_${how}`, `${file} was ${how} while it was open.`);
    }
  }

  /** Call before anything is written: what is removed or replaced does no harm to what SQLite has open, a cut does. */
  checkLength(): void {
    for (const [file, before] of this.#opened) {
      const now = seen(file);
      if (now === undefined || now.identity !== before?.identity || now.bytes >= before.bytes) continue;
      throw this.#cut(file, `from ${before.bytes} to ${now.bytes} bytes `);
    }
    if (this.#hasLog && !this.#tail.isWhole()) throw this.#cut(this.#log, '');
  }

  /** Call when SQLite has written to them. Throws a BookError when what it wrote is not there any more. */
  written(): void {
    if (this.#hasLog && !this.#tail.written()) throw this.#cut(this.#log, '');
    for (const [file, before] of this.#opened) {
      const now = seen(file);
      if (now?.identity === before?.identity) this.#opened.set(file, now);
    }
  }

  /** SQLite began the write-ahead file anew when it wrote to it the last time. */
  get isLogNew(): boolean {
    return this.#tail.isNew;
  }

  /** Call when SQLite has closed them. */
  close(): void {
    this.#tail.close();
  }

  /** It is the one that was opened. */
  get #hasLog(): boolean {
    const now = seen(this.#log);
    return now !== undefined && now.identity === this.#opened.get(this.#log)?.identity;
  }

  #cut(file: string, lengths: string): BookError {
    const advice = file === this.#log ? ' The journal has what it held: start the broker again.' : '';
    return new BookError('book_cut', `${file} was cut ${lengths}while it was open.${advice}`);
  }
}

function seen(file: string): Seen | undefined {
  try {
    const { dev, ino, size } = lstatSync(file, { bigint: true });
    return { identity: `${dev}:${ino}`, bytes: size };
  } catch {
    return undefined; // it, or what it lay in, is gone
  }
}
