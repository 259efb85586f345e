/** Whether the files of a backup are those that its manifest names. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileChecksum } from '../store/copy-file.ts';
import { differenceOf, readManifest } from '../store/manifest.ts';
import { StoreError } from '../store/port.ts';
import type { Progress } from '../store/progress.ts';
import type { Finding } from './finding.ts';

/** @param add gets what a restore would refuse. */
export async function findInBackup(
  directory: string,
  add: (finding: Finding) => void,
  progress: Progress,
): Promise<void> {
  const changed = (message: string): void =>
    add({
      severity: 'damage',
      code: 'backup_damaged',
      message,
      advice: 'deye store restore refuses it. Take another backup.',
    });
  try {
    const { files } = readManifest(directory);
    for (const [at, file] of files.entries()) {
      progress('comparing with the manifest', at, files.length);
      const path = join(directory, file.name);
      const difference = differenceOf(file, existsSync(path) ? await fileChecksum(path) : undefined);
      if (difference !== undefined) changed(`${difference}.`);
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    changed(error.message);
  }
}
