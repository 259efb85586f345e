/**
 * Opens a journal: finds who it is, reads its segments, decides what they mean (`recovery.ts`), cuts a torn tail, and
 * makes everything that was read durable, since it may stand in the page cache only. The new epoch is on the disk, in a
 * sealing batch, before the journal is handed out.
 */
import type { Disk, DiskFile } from './disk.ts';
import { FileJournal } from './file-journal.ts';
import { saltBytes, segmentHead } from './header.ts';
import { type Identity, identityName, identityOfSegments, readIdentity, writeIdentity } from './identity.ts';
import { JournalError } from './port.ts';
import { type Run, recordsCrcOf, recoverRun, type Witnesses } from './recovery.ts';
import { type ScannedSegment, scanSegments, segmentName, segmentNumber } from './scan.ts';
import { type Segment, SegmentFiles, smallestSegment, startOf, type UsedSegment } from './segments.ts';
import { cutTail } from './torn-tail.ts';
import { removeUnborn } from './unborn.ts';

interface Before {
  readonly epoch: number | undefined;
  readonly sequence: number | undefined;
}

/** Is told how the recovery goes. */
export interface RecoveryWatch {
  /** Which of how many segments is being read. */
  readonly reading?: (at: number, of: number) => void;
  /** A torn tail is cut: how many bytes behind which batch, and the file that they stand in if there was space. */
  readonly cut?: (sequence: number, bytes: number, copy: string | undefined) => void;
  /** So many segments lie before the first that is needed. */
  readonly ignored?: (segments: number) => void;
  /** What was damaged and stands elsewhere, too, is written again. */
  readonly repaired?: (what: string) => void;
}

export interface FileJournalOptions {
  /** `batch` syncs before an append is done; with a number it is done at once, and synced that many ms later. */
  readonly sync: 'batch' | number;
  /** Of an idle journal: the last batch is sealed after this many ms. */
  readonly sealMs: number;
  /** Runs `run` once after `ms`. */
  readonly later: (ms: number, run: () => void) => void;
  readonly wallMs: () => number;
  /** The disk failed outside an append; nothing can be appended any more. */
  readonly failed: (error: JournalError) => void;
  /** More is synced. */
  readonly synced?: () => void;
}

interface OpenJournalOptions extends FileJournalOptions, RecoveryWatch {
  readonly disk: Disk;
  /** Of the largest segment. */
  readonly segmentBytes: number;
  readonly randomBytes: (count: number) => Uint8Array;
  /**
   * What the book and a backup know of the store with this id; without one, of any: then also what a new journal goes on
   * from, the last epoch and the last batch.
   */
  readonly witnesses: (storeId: Uint8Array | undefined) => Promise<Witnesses & Partial<Before>>;
}

/** A journal's files, made ready, and where its head stands. */
export interface Opened {
  readonly storeId: Uint8Array;
  readonly segmentBytes: number;
  readonly files: SegmentFiles;
  readonly used: readonly UsedSegment[];
  readonly epoch: number;
  readonly ordinal: number;
  readonly sequence: number;
  readonly crc: number;
  readonly recordsCrc: number;
}

export async function openJournal(options: OpenJournalOptions): Promise<FileJournal> {
  const handles = new Map<number, DiskFile>();
  try {
    return await openWith(options, handles);
  } catch (error) {
    for (const file of handles.values()) await file.close().catch(() => {}); // the first error is the one to tell
    throw error;
  }
}

/** Opens the segments into `handles`. */
async function openWith(options: OpenJournalOptions, handles: Map<number, DiskFile>): Promise<FileJournal> {
  const { disk, sync } = options;
  for (const name of await disk.names()) {
    const number = segmentNumber(name);
    if (number !== undefined) handles.set(number, await disk.open(name, { create: false, synced: sync === 'batch' }));
  }
  const written = await readIdentity(disk);
  if (written === undefined) await removeUnborn(disk, handles);
  const identity = written ?? (await identityOfSegments(handles));
  const opened = identity === undefined ? await create(options, handles) : await recover(options, identity, handles);
  if (written === undefined && identity !== undefined) {
    await writeIdentity(disk, identity);
    options.repaired?.(identityName);
  }
  const journal = new FileJournal(opened, options);
  try {
    await journal.begin();
  } catch (error) {
    await journal.close().catch(() => {}); // also what it has begun to prepare; the first error is the one to tell
    throw error;
  }
  return journal;
}

const filesOf = (
  { disk, sync, randomBytes }: OpenJournalOptions,
  storeId: Uint8Array,
  top: number,
  newSalt: (segment: number) => Uint8Array = () => randomBytes(saltBytes),
) => new SegmentFiles({ disk, storeId, synced: sync === 'batch', newSalt }, top);

async function create(options: OpenJournalOptions, handles: Map<number, DiskFile>): Promise<Opened> {
  const { disk, segmentBytes, randomBytes, witnesses } = options;
  const { book, epoch = 0, sequence = 0 } = await witnesses(undefined);
  if (book !== undefined)
    throw new JournalError(
      'journal_damaged',
      `The book is there, up to batch ${book.sequence}, and the journal is not: its files were removed.`,
    );
  const [storeId, firstSalt] = [randomBytes(saltBytes), randomBytes(saltBytes)];
  const files = filesOf(options, storeId, 0, (number) => (number === 1 ? firstSalt : randomBytes(saltBytes)));
  const first = await files.next(smallestSegment(segmentBytes));
  if (first === undefined)
    throw new JournalError(
      'journal_full',
      'There is no space for a new journal. Make room, or choose another directory.',
    );
  handles.set(first.number, first.file);
  await writeIdentity(disk, { storeId, firstSalt });
  const used = [startOf(first, 1, sequence + 1, 0)];
  return { storeId, segmentBytes, files, used, epoch: epoch + 1, ordinal: 0, sequence, crc: 0, recordsCrc: 0 };
}

async function recover(
  options: OpenJournalOptions,
  identity: Identity,
  handles: ReadonlyMap<number, DiskFile>,
): Promise<Opened> {
  const { disk, segmentBytes, witnesses } = options;
  const { storeId, firstSalt } = identity;
  const scanned = await scanSegments(handles, storeId, firstSalt, options.reading);
  const known = await witnesses(storeId);
  const run = recoverRun(scanned, known);
  const files = filesOf(options, storeId, Math.max(...handles.keys()));
  await cutTail(options, files, scanned, handles, run);
  const used = usedSegments(scanned, handles, run);
  await repairHeads(used, scanned, storeId, options);
  for (const { number, file } of [...used, ...files.spares]) if (handles.has(number)) await file.sync();
  await disk.sync();
  // Only now is the floor, too, more than something read from the page cache.
  const ignored = scanned.filter(({ number }) => number < used[0]!.number);
  if (ignored.length > 0) options.ignored?.(ignored.length);
  for (const { number, bytes } of ignored) await files.release({ number, file: handles.get(number)!, bytes });
  const { ordinal, sequence, crc } = run;
  const last = run.batches.at(-1)?.batch;
  const recordsCrc = last === undefined ? 0 : recordsCrcOf(last);
  const epoch = Math.max(run.epoch, known.epoch ?? 0) + 1;
  return { storeId, segmentBytes, files, used, epoch, ordinal, sequence, crc, recordsCrc };
}

/** A head that is damaged is written again: its salt was found elsewhere, and that may be damaged next. */
async function repairHeads(
  used: readonly Segment[],
  scanned: readonly ScannedSegment[],
  storeId: Uint8Array,
  { repaired }: RecoveryWatch,
): Promise<void> {
  const whole = new Set(scanned.filter(({ isWhole }) => isWhole).map(({ number }) => number));
  for (const { number, salt, file } of used) {
    if (whole.has(number)) continue;
    await file.write([segmentHead({ storeId, segment: number, salt })], 0);
    repaired?.(`the head of ${segmentName(number)}`);
  }
}

function usedSegments(
  scanned: readonly ScannedSegment[],
  handles: ReadonlyMap<number, DiskFile>,
  run: Run,
): UsedSegment[] {
  const used: UsedSegment[] = [];
  const fileOf = (number: number): Segment => {
    const { salt, bytes } = scanned.find((one) => one.number === number)!;
    return { number, salt: salt!, bytes, file: handles.get(number)! };
  };
  for (const { segment, batch } of run.batches) {
    if (used.at(-1)?.number !== segment) {
      const firstSequence = batch.sequence + (batch.kind === 'records' ? 0 : 1);
      used.push(startOf(fileOf(segment), batch.ordinal, firstSequence, batch.chain));
    }
    used.at(-1)!.lastSequence = batch.sequence;
    used.at(-1)!.block = batch.block + batch.blocks;
    if (batch.kind === 'records') used.at(-1)!.blocks.push(batch.block);
  }
  if (used.at(-1)?.number !== run.segment)
    used.push(startOf(fileOf(run.segment), run.ordinal + 1, run.sequence + 1, run.crc));
  return used;
}
