/** The book of a directory. One that was made beside a journal that is then refused goes away again, when it is closed. */
import { existsSync, rmSync } from 'node:fs';
import { ThreadedBook } from '../book/threaded-book.ts';
import { filesOf } from '../book/write-ahead.ts';

export class DirectoryBook extends ThreadedBook {
  readonly #files: readonly string[];
  #isNew = false;
  #isRefused = false;

  constructor(path: string) {
    super(path);
    this.#files = filesOf(path);
  }

  override open(): ReturnType<ThreadedBook['open']> {
    this.#isNew = !this.#files.some((file) => existsSync(file));
    return super.open();
  }

  /** The journal cannot be opened: nothing was written to the book. */
  refused(): void {
    this.#isRefused = true;
  }

  override async close(): Promise<void> {
    await super.close();
    if (this.#isNew && this.#isRefused) for (const file of this.#files) rmSync(file, { force: true });
  }
}
