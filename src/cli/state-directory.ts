/** A state directory as commands meet it that work on its files: whose it is now. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { readBrokerInfo } from '../broker/broker-info.ts';
import { AlreadyRunningError, lockStateDirectory } from '../broker/lock.ts';
import { journalIn, stateDirectoryOf, storeIn } from '../store/layout.ts';
import { shellQuoted } from '../text/shell.ts';
import { lockFile } from '../transport/file-lock.ts';

/** The state directory of a store that is named itself, or by a link: there it is locked, and there its broker is found. */
export function stateDirectoryAt(named: string): string {
  if (existsSync(journalIn(named))) return stateDirectoryOf(realpathSync(named));
  const store = storeIn(named);
  const isLink = lstatSync(store, { throwIfNoEntry: false })?.isSymbolicLink() === true && existsSync(store);
  return isLink ? stateDirectoryOf(realpathSync(store)) : named;
}

interface Look extends Disposable {
  /** A broker runs on it. */
  readonly isMoving: boolean;
}

/** Keeps a broker from starting on it meanwhile, unless one runs. Changes nothing. */
export function lookAt(stateDir: string): Look {
  const isRunning = readBrokerInfo(stateDir) !== undefined;
  const lock = join(stateDir, 'broker.lock');
  if (isRunning || !existsSync(lock)) return { isMoving: isRunning, [Symbol.dispose]: () => {} };
  const held = lockOrNothing(lock);
  return { isMoving: held === undefined, [Symbol.dispose]: () => held?.[Symbol.dispose]() };
}

function lockOrNothing(path: string): Disposable | undefined {
  try {
    return lockFile(path);
  } catch {
    return { [Symbol.dispose]: () => {} }; // it cannot be written, so no broker holds it
  }
}

/** A broker writes to what a command needs at rest. */
export class StoreInUseError extends Error {
  override readonly name = 'StoreInUseError';
  readonly code = 'store_in_use';
}

/** To write to it: no broker may start meanwhile. Throws a StoreInUseError when one runs, or another command works on it. */
export function lockAtRest(stateDir: string): Disposable {
  try {
    return lockStateDirectory(stateDir);
  } catch (error) {
    if (error instanceof AlreadyRunningError) throw new StoreInUseError(error.message);
    throw error;
  }
}

/** As `lookAt`; throws a StoreInUseError when a broker runs on it. */
export function lookAtRest(stateDir: string): Disposable {
  const look = lookAt(stateDir);
  if (!look.isMoving) return look;
  look[Symbol.dispose]();
  throw new StoreInUseError(
    readBrokerInfo(stateDir) === undefined
      ? `Another command works on the store in ${stateDir}. Try again when it is done.`
      : `A broker runs on ${stateDir}, and this needs a store that nobody writes to. Stop it first with: deye broker stop --state-dir ${shellQuoted(stateDir)}`,
  );
}
