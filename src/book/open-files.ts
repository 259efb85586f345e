/**
 * The files of the book while SQLite has them open. One that is removed or replaced is written to as before, and is gone
 * with the process.
 */
import { lstatSync } from 'node:fs';
import { BookError } from './error.ts';

export class OpenFiles {
  readonly #opened: ReadonlyMap<string, string | undefined>;

  /** Call when SQLite has opened them; it makes no others of them while it is open. */
  constructor(files: readonly string[]) {
    this.#opened = new Map(files.map((file) => [file, identityOf(file)]));
  }

  /** Throws a BookError `book_removed` or `book_replaced` when they are not those that were opened. */
  check(): void {
    for (const [file, identity] of this.#opened) {
      const now = identityOf(file);
      if (now === identity) continue;
      const how = now === undefined ? 'removed' : 'replaced';
      throw new BookError(`book_${how}`, `${file} was ${how} while it was open.`);
    }
  }
}

function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined; // it, or what it lay in, is gone
  }
}
