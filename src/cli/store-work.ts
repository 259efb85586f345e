/** Work on the files of a store, without a broker or beside one: who holds them meanwhile, and the work itself. */
import { resolve } from 'node:path';
import { backupAtRest } from '../store/backup.ts';
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
  return await verifyStore(directory, { isMoving: look.isMoving, progress: bar.progress });
}

export interface BackedUp extends Manifest {
  readonly directory: string;
}

export async function backup(given: string | undefined, to: string, version: string): Promise<BackedUp> {
  const directory = await findStateDirectory(given);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  const options = { version, wallMs: Date.now(), progress: bar.progress };
  return { directory: resolve(to), ...(await backupAtRest(directory, resolve(to), options)) };
}

export async function restore(from: string, to: string): Promise<Restored> {
  using bar = progressBar();
  return await restoreBackup(resolve(from), resolve(to), bar.progress);
}

export async function salvage(from: string, to: string, acceptGap: boolean): Promise<Salvaged> {
  const directory = resolve(from);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  return await salvageStore(directory, resolve(to), { acceptGap, progress: bar.progress });
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
  return await exportStore(directory, file === undefined ? undefined : resolve(file), options);
}

/** `file`: a path, or `-` for standard input. */
export async function importFrom(file: string, to: string): Promise<Imported> {
  using bar = progressBar();
  return await importStore(file === '-' ? undefined : resolve(file), resolve(to), bar.progress);
}
