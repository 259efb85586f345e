/**
 * A lock of the kernel on a file, which is gone the moment its process is, however it died: SQLite's own lock on an
 * empty database. (Node has no flock; SQLite locks ranges of the file with fcntl, and keeps its own books where two
 * holders live in one process.) The file stays: removing it would let two processes hold "the" lock.
 */
import { truncateSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { TransportError } from './error.ts';
import { refuseLink } from './private-directory.ts';

const busy = 5;
const locked = 6;
const corrupt = 11;
const notADatabase = 26;

/** Undefined when another process holds it. */
export function lockFile(path: string): Disposable | undefined {
  refuseLink(path);
  try {
    const held = take(path);
    if (held !== 'damaged') return held;
    // What it contains means nothing, and no process holds it: SQLite locks before it reads. It is emptied and not made
    // anew, so that another who does the same at this moment locks the same file.
    truncateSync(path);
    const again = take(path);
    if (again !== 'damaged') return again;
    throw new Error('it is damaged');
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TransportError(
      'lock_unusable',
      `The lock file ${path} cannot be used: ${why}. Check that it and its directory are yours, or remove it while no broker runs.`,
      { cause },
    );
  }
}

function take(path: string): Disposable | 'damaged' | undefined {
  const before = process.umask(0o177);
  let held: DatabaseSync | undefined;
  try {
    held = new DatabaseSync(path);
    held.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    held?.close();
    const code = ((cause as { errcode?: number }).errcode ?? 0) & 0xff;
    if (code === busy || code === locked) return undefined;
    if (code === corrupt || code === notADatabase) return 'damaged';
    throw cause;
  } finally {
    process.umask(before);
  }
  const database = held;
  return { [Symbol.dispose]: () => database.close() };
}
