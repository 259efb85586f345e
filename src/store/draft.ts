/**
 * A hidden directory in which something is made. Its maker locks a file in it, and the kernel takes the lock away however
 * the maker ends: what a kill left is removed by the next one that makes something at the same place.
 */
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFile } from '../transport/file-lock.ts';

const lockName = 'maker.lock';

export interface Draft extends AsyncDisposable {
  readonly path: string;
  /** Nothing but what was made is left in it: call before it is moved to its place. */
  finish(): void;
}

/** Gone when it is disposed of, or the process exits, unless it was moved. `prefix`: of its name, the same for the same place. */
export function makeDraft(parent: string, prefix: string): Draft {
  removeLeft(parent, prefix);
  for (;;) {
    const path = mkdtempSync(join(parent, prefix)); // closed to others
    const lock = lockIn(path);
    // Else another maker came between its making and its lock, and took it for one that was left.
    if (lock !== undefined && existsSync(path)) return draftAt(path, lock);
    lock?.[Symbol.dispose]();
  }
}

function draftAt(path: string, lock: Disposable): Draft {
  const remove = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  process.once('exit', remove); // it is interrupted
  return {
    path,
    finish: () => rmSync(join(path, lockName), { force: true }),
    async [Symbol.asyncDispose]() {
      process.off('exit', remove);
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      lock[Symbol.dispose]();
    },
  };
}

/** Undefined when another process holds it. Where nothing can be locked, nothing is taken for left either. */
function lockIn(path: string): Disposable | undefined {
  try {
    return lockFile(join(path, lockName));
  } catch {
    return { [Symbol.dispose]: () => {} };
  }
}

function removeLeft(parent: string, prefix: string): void {
  for (const entry of readdirSync(parent, { withFileTypes: true })) {
    const path = join(parent, entry.name);
    if (!entry.isDirectory() || !entry.name.startsWith(prefix)) continue;
    if (existsSync(join(path, lockName))) removeUnlocked(path);
    else removeEmpty(path);
  }
}

/** Its maker was killed before it locked it, or is about to, and then makes another. What is in one without a lock stays. */
function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {}
}

/** The lock is held until the directory is gone, so that its maker, if it only begins, sees that. */
function removeUnlocked(path: string): void {
  try {
    using lock = lockFile(join(path, lockName));
    if (lock === undefined) return;
    for (const name of readdirSync(path)) if (name !== lockName) rmSync(join(path, name), { recursive: true });
    unlinkSync(join(path, lockName)); // last: a kill on the way leaves it for the next
    rmSync(path, { recursive: true, force: true });
  } catch {} // it is in nobody's way
}
