/**
 * A lock of the kernel on a file, which is gone the moment its process is, however it died: SQLite's own lock on an
 * empty database. (Node has no flock; SQLite locks ranges of the file with fcntl, and keeps its own books where two
 * holders live in one process.) The file stays: removing it would let two processes hold "the" lock.
 */
import { DatabaseSync } from 'node:sqlite';

const busy = 5;
const locked = 6;

/** Undefined when somebody else holds it. */
export function lockFile(path: string): Disposable | undefined {
  const before = process.umask(0o177);
  let held: DatabaseSync | undefined;
  try {
    held = new DatabaseSync(path);
    held.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    held?.close();
    const { errcode = 0 } = cause as { errcode?: number };
    if ((errcode & 0xff) === busy || (errcode & 0xff) === locked) return undefined;
    throw cause;
  } finally {
    process.umask(before);
  }
  const database = held;
  return { [Symbol.dispose]: () => database.close() };
}
