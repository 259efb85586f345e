/**
 * The files of the SQLite store, beside what SQLite does with them: made private before it opens them, and looked at
 * while it has them open. A file that is removed or replaced under an open connection is written to as before, and is
 * gone with the process: nothing may be answered then. The connection still sees all of it, so that is saved first.
 */
import { type BigIntStats, closeSync, fsyncSync, lstatSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from './port.ts';

const suffixes = ['', '-wal', '-shm'];

/** Refuses links, which lead out of the private directory, and makes a missing file closed to others from its first instant. */
export function preparePrivately(path: string): void {
  for (const file of suffixes.map((suffix) => path + suffix)) {
    const stat = statOf(file);
    if (stat === undefined || stat.isFile()) continue;
    const what = stat.isSymbolicLink() ? 'a symbolic link' : 'not a file';
    throw new StoreError(
      'store_unsafe',
      `${file} is ${what}; the store's files lie in its own private directory. Put the file itself there, or move it away to start with an empty store.`,
    );
  }
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch {} // it is there, or SQLite says why it cannot be
}

export class OpenFiles {
  readonly #path: string;
  /** The database and its write-ahead log, as they were opened. SQLite makes no others of them while it is open. */
  readonly #opened: ReadonlyMap<string, string | undefined>;
  #lost: StoreError | undefined;

  /** Call when SQLite has opened them. */
  constructor(path: string) {
    this.#path = path;
    this.#opened = new Map([path, `${path}-wal`].map((file) => [file, identityOf(file)]));
  }

  /** Whether `check` has found them gone. */
  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** Throws a StoreError `store_removed` when they are not those that were opened, now and ever after. */
  check(db: DatabaseSync): void {
    this.#lost ??= this.#look(db);
    if (this.#lost !== undefined) throw this.#lost;
  }

  #look(db: DatabaseSync): StoreError | undefined {
    const gone = [...this.#opened].flatMap(([file, identity]) => {
      const now = identityOf(file);
      return now === identity ? [] : [{ file, how: now === undefined ? 'removed' : 'replaced' }];
    });
    if (gone.length === 0) return undefined;
    const what = `${gone.map(({ file, how }) => `${file} was ${how}`).join(' and ')} while the broker had it open.`;
    try {
      const isReplaced = gone.some(({ file, how }) => file === this.#path && how === 'replaced');
      return new StoreError('store_removed', `${what} ${this.#save(db, isReplaced)}`);
    } catch (cause) {
      const why = `What was acknowledged could not be saved (${(cause as Error).message})`;
      return new StoreError('store_removed', `${what} ${why}; put back a copy before the next start.`, { cause });
    }
  }

  /** In its place, or beside the one that was put there. Returns what to do. */
  #save(db: DatabaseSync, isReplaced: boolean): string {
    const saved = this.#copy(db);
    // A log that is left would be taken for a part of what is there now.
    const log = `${this.#path}-wal`;
    const found = identityOf(log);
    if (found !== undefined && found === this.#opened.get(log)) rmSync(log);
    else if (found !== undefined && !isReplaced) renameSync(log, `${saved}.wal`);
    if (!isReplaced) renameSync(saved, this.#path);
    rmSync(`${this.#path}-shm`, { force: true }); // made anew from the others
    sync(dirname(this.#path));
    return isReplaced
      ? `Everything acknowledged is in ${saved}. Start the broker again to go on with what was put there; to go on with what was acknowledged, move the saved file over ${this.#path} before.`
      : 'Everything acknowledged is written back there; start the broker again to go on.';
  }

  /** All that was committed, in a new file beside. */
  #copy(db: DatabaseSync): string {
    const saved = `${this.#path}.saved-${Date.now()}`;
    mkdirSync(dirname(saved), { recursive: true, mode: 0o700 });
    closeSync(openSync(saved, 'wx', 0o600));
    db.prepare('VACUUM INTO ?').run(saved);
    sync(saved);
    return saved;
  }
}

/** Undefined also when something above it is no directory (any more). */
function statOf(file: string): BigIntStats | undefined {
  try {
    return lstatSync(file, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined; // the code that opens it reports why
  }
}

function identityOf(file: string): string | undefined {
  const stat = statOf(file);
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
