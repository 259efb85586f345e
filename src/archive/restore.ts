/**
 * Restore: a backup as a state directory that a broker starts on. Every file is checked against the manifest while it is
 * copied, and a new epoch is synced before the directory is there, so that no token of the store's other life fits.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { copyFile } from '../store/copy-file.ts';
import { openJournalIn } from '../store/journal-files.ts';
import { journalIn } from '../store/layout.ts';
import { differenceOf, type Manifest, readManifest } from '../store/manifest.ts';
import { buildDirectory } from '../store/new-directory.ts';
import { openParts } from '../store/parts.ts';
import { StoreError } from '../store/port.ts';
import type { Progress } from '../store/progress.ts';
import { refuseDamaged } from '../store/refuse-damaged.ts';

export interface Restored {
  readonly directory: string;
  readonly store_id: string;
  /** The new one. */
  readonly epoch: number;
  readonly sequence: number;
  /** When the backup was made. */
  readonly made_at_ms: number;
}

/** `to` must be missing or empty. Rejects with a StoreError, a JournalError or a BookError, and then nothing is there. */
export async function restoreBackup(backup: string, to: string, progress: Progress = () => {}): Promise<Restored> {
  const manifest = readManifest(backup);
  return buildDirectory(to, async (draft) => {
    await copyChecked(backup, draft, manifest, progress);
    const { store_id, sequence, made_at_ms } = manifest;
    const epoch = await newEpoch(draft, manifest);
    return { directory: to, store_id, epoch, sequence, made_at_ms };
  });
}

async function copyChecked(backup: string, draft: string, { files }: Manifest, progress: Progress): Promise<void> {
  const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  mkdirSync(journalIn(draft), { mode: 0o700 });
  for (const file of files) {
    const { name } = file;
    if (!/^(journal\/)?[\w.]+$/.test(name) || name.includes('..'))
      throw damaged(backup, `its manifest names ${JSON.stringify(name)}, which is no file of a store`);
    const copied = await copyFile(join(backup, name), join(draft, name), {
      each: (count) => {
        done += count;
        progress('copying the backup', done, all);
      },
    }).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') throw damaged(backup, differenceOf(file, undefined)!, cause);
      throw cause.code === 'store_unsafe' ? damaged(backup, `${name} is no regular file`, cause) : cause;
    });
    const difference = differenceOf(file, copied);
    if (difference !== undefined) throw damaged(backup, difference);
  }
}

const damaged = (backup: string, what: string, cause?: unknown): StoreError =>
  new StoreError('backup_damaged', `The backup ${backup} is damaged: ${what}. Restore another one.`, { cause });

async function newEpoch(draft: string, { store_id, epoch, sequence, crc }: Manifest): Promise<number> {
  await using parts = await openParts(draft, false);
  const run = refuseDamaged(draft, parts, sequence);
  const last = run.batches.findLast(({ batch }) => batch.kind === 'records')?.batch;
  if (Buffer.from(parts.survey.storeId).toString('hex') !== store_id || (last !== undefined && last.crc !== crc))
    throw damaged(draft, 'its journal is not the one that the manifest is of');
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => {}); // it is raced below
  const { position } = parts;
  const witnesses = async () => ({ book: position, manifest: sequence, epoch });
  const journal = await Promise.race([openJournalIn(journalIn(draft), { failed: reject, witnesses }), failed]);
  await Promise.race([journal.close(), failed]);
  return journal.epoch;
}
