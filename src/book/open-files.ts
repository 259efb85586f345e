/**
 * The files of the book while SQLite has them open. One that is removed or replaced is written to as before, and is gone
 * with the process; one that is cut grows again with zeros in the place of what it held.
 */
import { lstatSync } from 'node:fs';
import { BookError } from './error.ts';

interface Seen {
  readonly identity: string;
  readonly bytes: bigint;
}

export class OpenFiles {
  readonly #opened: Map<string, Seen | undefined>;

  /** Call when SQLite has opened them; it makes no others of them while it is open. */
  constructor(files: readonly string[]) {
    this.#opened = new Map(files.map((file) => [file, seen(file)]));
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
      const advice = file.endsWith('-wal') ? ' The journal has what it held: start the broker again.' : '';
      throw new BookError(
        'book_cut',
        `${file} was cut from ${before.bytes} to ${now.bytes} bytes while it was open.${advice}`,
      );
    }
  }

  /** Call when SQLite has written to them. */
  written(): void {
    for (const [file, before] of this.#opened) {
      const now = seen(file);
      if (now?.identity === before?.identity) this.#opened.set(file, now);
    }
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
