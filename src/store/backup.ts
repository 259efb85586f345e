/**
 * Backup: nothing is released from the journal while the book is copied; what is synced after that is noted, and the
 * journal is copied exactly to it. So the book in the copy is never ahead of its journal. The manifest comes last.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BookReader } from '../book/book-reader.ts';
import { fileDisk } from '../journal/file-disk.ts';
import { blockBytes } from '../journal/header.ts';
import type { Position } from '../journal/port.ts';
import { findRun, type Run, recordsCrcOf } from '../journal/recovery.ts';
import { segmentName } from '../journal/scan.ts';
import { type PlacedBatch, surveyJournal } from '../journal/survey.ts';
import { type CopiedFile, copyFile, fileChecksum, syncFile } from './copy-file.ts';
import { storeWord } from './journal-error.ts';
import { bookIn, journalIn } from './layout.ts';
import { type Manifest, writeManifest } from './manifest.ts';
import { buildDirectory } from './new-directory.ts';
import { openParts } from './parts.ts';
import { StoreError } from './port.ts';
import type { Progress } from './progress.ts';
import { refuseDamaged, soundRun } from './refuse-damaged.ts';

/** Up to where a journal is synced, and whose it is. */
export interface BackupPosition {
  readonly storeId: string;
  readonly epoch: number;
  readonly synced: Position;
}

export interface CopyOptions {
  /** Of this deye. */
  readonly version: string;
  readonly wallMs: number;
  /** What it throws ends the copy. */
  readonly progress?: Progress;
}

/** Of a store that nobody writes to. Rejects with what a start would refuse. */
export async function backupAtRest(directory: string, to: string, options: CopyOptions): Promise<Manifest> {
  const { progress } = options;
  await using parts = await openParts(directory, false, progress);
  const run = soundRun(directory, parts);
  const last = run.batches.at(-1)?.batch;
  const synced: Position = {
    sequence: run.sequence,
    crc: last === undefined ? 0 : recordsCrcOf(last),
  };
  const storeId = Buffer.from(parts.survey.storeId).toString('hex');
  const position = async (): Promise<BackupPosition> => ({ storeId, epoch: run.epoch, synced });
  return await buildDirectory(to, (draft) => copyStore(directory, draft, false, position, options));
}

/**
 * Nothing may be released from the journal meanwhile.
 *
 * @param position called when the book is copied: up to where the journal is synced now.
 */
export async function copyStore(
  directory: string,
  draft: string,
  isMoving: boolean,
  position: () => Promise<BackupPosition>,
  { version, wallMs, progress = () => {} }: CopyOptions,
): Promise<Manifest> {
  progress('copying the book', 0, 1);
  const files = new Map<string, CopiedFile>();
  const book = await copyBook(directory, draft, isMoving);
  if (book !== undefined) files.set('book.db', book);
  const { storeId, epoch, synced } = await position();
  for (const [name, copied] of await copyJournal(journalIn(directory), journalIn(draft), synced, progress))
    files.set(`journal/${name}`, copied);
  await checkCopy(directory, draft, synced, progress);
  checkBook(directory, draft, progress);
  return writeManifest(draft, {
    version,
    store_id: storeId,
    epoch,
    sequence: synced.sequence,
    crc: synced.crc,
    made_at_ms: wallMs,
    files: [...files].map(([name, { bytes, crc }]) => ({ name, bytes, crc })),
  });
}

/** Undefined when there is none yet. */
async function copyBook(directory: string, to: string, isMoving: boolean): Promise<CopiedFile | undefined> {
  if (!existsSync(bookIn(directory))) return undefined;
  using book = new BookReader(bookIn(directory), isMoving);
  await book.copyTo(bookIn(to));
  await syncFile(bookIn(to));
  return fileChecksum(bookIn(to));
}

async function copyJournal(
  from: string,
  to: string,
  { sequence }: Position,
  progress: Progress,
): Promise<Map<string, CopiedFile>> {
  const ends = await endsOf(from, sequence, progress);
  mkdirSync(to, { mode: 0o700 });
  const copied = new Map<string, CopiedFile>();
  const all = [...ends.values()].reduce((sum, blocks) => sum + (blocks + 1) * blockBytes, 0);
  let done = 0;
  const each = (bytes: number): void => {
    done += bytes;
    progress('copying the journal', done, all);
  };
  // Where it is gone the heads of the segments say the same.
  if (existsSync(join(from, 'journal.json')))
    copied.set('journal.json', await copyFile(join(from, 'journal.json'), join(to, 'journal.json')));
  for (const [segment, blocks] of ends) {
    const [name, bytes] = [segmentName(segment), blocks * blockBytes];
    // A block of zeros: there the next start can close the last segment.
    copied.set(name, await copyFile(join(from, name), join(to, name), { bytes, zeros: blockBytes, each }));
  }
  return copied;
}

/** The segments of the run up to a batch of records, each with the block at which it is to end. */
async function endsOf(journal: string, sequence: number, progress: Progress): Promise<Map<number, number>> {
  await using survey = await surveyJournal(fileDisk(journal, { readOnly: true }), (done, all) =>
    progress('reading the journal', Math.min(done, all), all),
  );
  const ends = new Map<number, number>([[1, 1]]);
  if (survey === undefined) return ends;
  const upTo = batchesUpTo(findRun(survey.segments).run, sequence);
  if (upTo.length > 0) ends.clear();
  for (const { segment, batch } of upTo) ends.set(segment, batch.block + batch.blocks);
  return ends;
}

/** A closing batch is never the last of them: what it points to would not be there. */
function batchesUpTo({ batches }: Run, sequence: number): readonly PlacedBatch[] {
  let end = batches.findLastIndex(({ batch }) => batch.sequence <= sequence) + 1;
  while (end > 0 && batches[end - 1]!.batch.kind === 'close') end--;
  return batches.slice(0, end);
}

/** A copy of a damaged book would take the place of an older one that is whole. */
function checkBook(directory: string, draft: string, progress: Progress): void {
  if (!existsSync(bookIn(draft))) return;
  using book = new BookReader(bookIn(draft), false);
  const rows = book.count;
  let done = 0;
  try {
    book.check(() => {
      if (++done % 1000 === 0) progress('checking the book', Math.min(done, rows), rows);
    });
  } catch (cause) {
    const what = (cause as Error).message.replaceAll(draft, directory);
    throw new StoreError(
      'store_corrupt',
      `${what} No backup was made. All of the damage is listed by: deye store verify ${storeWord(directory)}`,
      {
        cause,
      },
    );
  }
}

/** A start on the copy would find all of it. */
async function checkCopy(
  directory: string,
  draft: string,
  { sequence, crc }: Position,
  progress: Progress,
): Promise<void> {
  await using parts = await openParts(draft, false, progress);
  const { batches } = refuseDamaged(draft, parts, sequence);
  const last = batches.findLast(({ batch }) => batch.kind === 'records')?.batch;
  if (last !== undefined && (last.sequence !== sequence || last.crc !== crc))
    throw new StoreError(
      'backup_damaged',
      `The copy of the journal ends at batch ${last.sequence}, and not as batch ${sequence} of the store does. Try again; if it happens twice, run: deye store verify ${storeWord(directory)}`,
    );
}
