/** Work on the files of a store, without a broker or beside one: who holds them meanwhile, and the work itself. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Restored, restoreBackup } from '../archive/restore.ts';
import { type Salvaged, salvageStore } from '../archive/salvage.ts';
import { type Verified, verifyStore } from '../archive/verify.ts';
import { defaultLimits } from '../protocol/limits.ts';
import type { BackedUp, Compacted, StoreStatus } from '../protocol/store-methods.ts';
import { backupAtRest } from '../store/backup.ts';
import { makeDraft } from '../store/draft.ts';
import { journalStoreIn } from '../store/journal-directory.ts';
import { journalIn, stateDirectoryOf, storeAt, storeIn } from '../store/layout.ts';
import { isBackup, summaryOf } from '../store/manifest.ts';
import { refused } from '../store/new-directory.ts';
import { refuseStore } from '../store/own-directory.ts';
import { statusAtRest } from '../store/status.ts';
import { shellQuoted } from '../text/shell.ts';
import { checkPrivateDirectory } from '../transport/private-directory.ts';
import { refuseWithin } from './copy-place.ts';
import { UsageError } from './error.ts';
import { elapsedLine, progressBar } from './progress.ts';
import { lockAtRest, lookAt, lookAtRest, stateDirectoryAt } from './state-directory.ts';
import { type Connect, findStateDirectory, findStore, type StoreFlags } from './store-broker.ts';
import { type Exported, exportStore } from './store-export.ts';
import { type Imported, importStore } from './store-import.ts';

/** Of the directory, or of that of the broker. */
export async function verify(given: string | undefined, connect: Connect): Promise<Verified> {
  const directory = await findStateDirectory(given, connect);
  using look = lookAt(directory);
  using bar = progressBar();
  return await verifyStore(storeAt(directory), { isMoving: look.isMoving, progress: bar.progress });
}

/** A request for work that takes as long as it takes; it ends with the connection. */
const unhurried = { timeoutMs: 2 ** 31 - 1 };

export async function status(flags: StoreFlags, connect: Connect): Promise<StoreStatus> {
  const found = await findStore(flags, connect);
  if (found.broker !== undefined) return await found.broker.request('store.status', {});
  const directory = found.stateDirectory;
  using _look = lookAtRest(directory);
  using bar = progressBar();
  return await statusAtRest(storeAt(directory), bar.progress);
}

/** By the broker that runs on it, or of its files. */
export async function backup(flags: StoreFlags, to: string, version: string, connect: Connect): Promise<BackedUp> {
  const found = await findStore(flags, connect);
  if (found.broker !== undefined) {
    const { directory: store } = await found.broker.request('store.status', {});
    if (store !== undefined) refuseWithin(stateDirectoryOf(store), to);
    using _line = elapsedLine('the broker copies its store');
    return await found.broker.request('store.backup', { directory: resolve(to) }, unhurried);
  }
  const directory = found.stateDirectory;
  refuseWithin(directory, to);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  const options = { version, wallMs: Date.now(), progress: bar.progress };
  return summaryOf(resolve(to), await backupAtRest(storeAt(directory), resolve(to), options));
}

/** By the broker that runs on it; else the store is opened here, and no broker can start on it meanwhile. */
export async function compact(flags: StoreFlags, connect: Connect): Promise<Compacted> {
  const found = await findStore(flags, connect);
  if (found.broker !== undefined) {
    using _line = elapsedLine('the broker compacts its store');
    return await found.broker.request('store.compact', {}, unhurried);
  }
  const directory = found.stateDirectory;
  if (isBackup(directory))
    throw new UsageError(
      `${directory} is a backup: compacted it would not be as its manifest says, and could not be restored. Restore it first with: deye store restore ${shellQuoted(directory)} --state-dir NEW_DIR`,
    );
  if (!existsSync(journalIn(storeAt(directory)))) await statusAtRest(storeAt(directory)); // it says what is there instead
  using _lock = lockAtRest(directory);
  using _line = elapsedLine('compacting the store');
  const store = journalStoreIn(storeAt(directory));
  try {
    const { idsAheadMax, memoryPayloadBytesMax: payloadsBytesMax } = defaultLimits;
    await store.load({ wallMs: Date.now(), idsAheadMax, payloadsBytesMax });
    return await store.compact();
  } finally {
    await store.close();
  }
}

/**
 * `make` makes a store in the directory; one that was not there is not there afterwards unless it did. It is locked from its
 * beginning to its end, so that nobody else has anything in it.
 */
async function stateDirectory<T>(to: string, make: (store: string) => Promise<T>, isMade: (made: T) => boolean) {
  const directory = resolve(to);
  const isNew = isMadeNow(directory);
  if (!isNew) checkPrivateDirectory(directory);
  refuseStore(directory);
  using _lock = lockAtRest(directory);
  let isKept = false;
  const remove = (): void => {
    if (isNew && !isKept) rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', remove); // it is interrupted
  try {
    const made = await make(storeIn(directory));
    isKept = isMade(made);
    return { ...made, directory };
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** Whether it is we who make it. */
function isMadeNow(directory: string): boolean {
  if (existsSync(directory)) return false;
  try {
    mkdirSync(dirname(directory), { recursive: true, mode: 0o700 });
    mkdirSync(directory, { mode: 0o700 });
    return true;
  } catch (error) {
    if (existsSync(directory)) return false; // another was faster
    throw refused(error as Error, directory, 'made');
  }
}

export async function restore(from: string, to: string): Promise<Restored> {
  using bar = progressBar();
  return await stateDirectory(
    to,
    (store) => restoreBackup(storeAt(resolve(from)), store, bar.progress),
    () => true,
  );
}

export async function salvage(from: string, to: string, acceptGap: boolean): Promise<Salvaged> {
  const directory = stateDirectoryAt(resolve(from));
  refuseWithin(directory, to);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  return await stateDirectory(
    to,
    (store) => salvageStore(storeAt(directory), store, { acceptGap, progress: bar.progress }),
    (salvaged) => salvaged.is_written,
  );
}

/** Of a broker that runs a backup is taken, inside the state directory, and exported. `file`: undefined for standard output. */
export async function exportTo(
  flags: StoreFlags,
  file: string | undefined,
  version: string,
  connect: Connect,
): Promise<Exported> {
  const to = file === undefined ? undefined : resolve(file);
  const found = await findStore(flags, connect);
  if (found.broker === undefined) {
    if (to !== undefined) refuseWithin(found.stateDirectory, to);
    using _look = lookAtRest(found.stateDirectory);
    return await exportFrom(storeAt(found.stateDirectory), to, version);
  }
  const { broker } = found;
  const { directory: store } = await broker.request('store.status', {});
  if (to !== undefined && store !== undefined) refuseWithin(stateDirectoryOf(store), to);
  const parent = store === undefined ? tmpdir() : dirname(store); // one in memory is refused there
  await using place = makeDraft(parent, '.export-'); // interrupted, the broker ends its part by itself
  const copy = join(place.path, 'store');
  {
    using _line = elapsedLine('the broker copies its store');
    await broker.request('store.backup', { directory: copy }, unhurried);
  }
  return await exportFrom(copy, to, version);
}

async function exportFrom(directory: string, file: string | undefined, version: string): Promise<Exported> {
  using bar = progressBar();
  return await exportStore(directory, file, { version, wallMs: Date.now(), progress: bar.progress });
}

/** `file`: a path, or `-` for standard input. */
export async function importFrom(file: string, to: string): Promise<Imported> {
  using bar = progressBar();
  const source = file === '-' ? undefined : resolve(file);
  return await stateDirectory(
    to,
    (store) => importStore(source, store, bar.progress),
    () => true,
  );
}
