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

export async function restore(from: string, to: string): Promise<Restored> {
  const directory = resolve(to);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  return { ...(await restoreBackup(storeAt(resolve(from)), storeIn(directory), bar.progress)), directory };
}

export async function salvage(from: string, to: string, acceptGap: boolean): Promise<Salvaged> {
  const directory = resolve(from);
  using _look = lookAtRest(directory);
  using bar = progressBar();
  const target = resolve(to);
  const isNew = !existsSync(target);
  const salvaged = await salvageStore(storeAt(directory), storeIn(target), { acceptGap, progress: bar.progress });
  if (isNew && !salvaged.is_written) rmSync(target, { recursive: true });
  return { ...salvaged, directory: target };
}
