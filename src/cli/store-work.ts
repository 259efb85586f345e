/** Work on the files of a store, without a broker or beside one: who holds them meanwhile, and the work itself. */
import { existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { backupAtRest } from '../store/backup.ts';
import { storeAt, storeIn } from '../store/layout.ts';
import type { Manifest } from '../store/manifest.ts';
import { type Restored, restoreBackup } from '../store/restore.ts';
import { type Salvaged, salvageStore } from '../store/salvage.ts';
import { type Verified, verifyStore } from '../store/verify.ts';
import { progressBar } from './progress.ts';
import { findStateDirectory, lookAt, lookAtRest } from './state-directory.ts';
import { type Exported, exportStore } from './store-export.ts';
import { type Imported, importStore } from './store-import.ts';

/** Of the directory, or of that of the broker. */
export async function verify(given: string | undefined): Promise<Verified> {
  const directory = await findStateDirectory(given);
  using look = lookAt(directory);
  using bar = progressBar();
  return await verifyStore(storeAt(directory), { isMoving: look.isMoving, progress: bar.progress });
}

export interface BackedUp extends Manifest {
  readonly directory: string;
}

export async function backup(given: string | undefined, to: string, version: string): Promise<BackedUp> {
  const directory = await findStateDirectory(given);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  const options = { version, wallMs: Date.now(), progress: bar.progress };
  return { directory: resolve(to), ...(await backupAtRest(storeAt(directory), resolve(to), options)) };
}

/** `make` makes a store in the directory; one that was not there is not there afterwards unless it did. */
async function stateDirectory<T>(to: string, make: (store: string) => Promise<T>, isMade: (made: T) => boolean) {
  const directory = resolve(to);
  const isNew = !existsSync(directory);
  using _look = lookAtRest(directory);
  let isKept = false;
  try {
    const made = await make(storeIn(directory));
    isKept = isMade(made);
    return { ...made, directory };
  } finally {
    if (isNew && !isKept) rmSync(directory, { recursive: true, force: true });
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
  const directory = resolve(from);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  return await stateDirectory(
    to,
    (store) => salvageStore(storeAt(directory), store, { acceptGap, progress: bar.progress }),
    (salvaged) => salvaged.is_written,
  );
}

export async function exportTo(
  given: string | undefined,
  file: string | undefined,
  version: string,
): Promise<Exported> {
  const directory = await findStateDirectory(given);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  const options = { version, wallMs: Date.now(), progress: bar.progress };
  return await exportStore(storeAt(directory), file === undefined ? undefined : resolve(file), options);
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
