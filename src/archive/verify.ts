/**
 * Verify: reads every segment, batch and record of the journal, and every row of the book, changes nothing, and tells
 * what it finds. Where a broker writes to them meanwhile only what is synced is looked at, and what looks wrong is
 * looked at again: a segment may have been released, or a row have moved, between two looks.
 */
import { readdirSync, statSync } from 'node:fs';
import type { BookReader } from '../book/book-reader.ts';
import { blockBytes, headerBytes } from '../journal/header.ts';
import { JournalError } from '../journal/port.ts';
import { findRun, type Run, recoverRun } from '../journal/recovery.ts';
import { type ScannedSegment, segmentName } from '../journal/scan.ts';
import type { PlacedBatch } from '../journal/survey.ts';
import { journalIn } from '../store/layout.ts';
import { isBackup } from '../store/manifest.ts';
import { openParts, type Parts } from '../store/parts.ts';
import type { Progress } from '../store/progress.ts';
import { refuseDamaged } from '../store/refuse-damaged.ts';
import { findInBackup } from './backup-files.ts';
import { adviseCompact, adviseNothing, adviseSalvage, type Finding } from './finding.ts';
import { Fold } from './fold.ts';

const looksMax = 3;
/** More of them help nobody; the rest is counted. */
const findingsMax = 1000;

export interface Verified {
  readonly directory: string;
  /** Whether a broker wrote to it meanwhile. */
  readonly is_moving: boolean;
  readonly is_whole: boolean;
  readonly store_id: string;
  readonly epoch: number;
  /** The last batch that was looked at. */
  readonly sequence: number;
  readonly segments: number;
  readonly journal_bytes: number;
  readonly batches: number;
  readonly records: number;
  readonly live_tasks: number;
  readonly settings: number;
  readonly ended_tasks: number;
  /** The last batch in the book. */
  readonly book_sequence: number;
  readonly findings: readonly Finding[];
  readonly findings_left_out: number;
}

export async function verifyStore(
  directory: string,
  { isMoving, progress = () => {} }: { readonly isMoving: boolean; readonly progress?: Progress },
): Promise<Verified> {
  for (let look = 1; ; look++)
    try {
      const verified = await lookOnce(directory, isMoving, progress);
      if (verified.is_whole || !isMoving || look === looksMax) return verified;
    } catch (error) {
      // A segment may be gone between two looks.
      if (!isMoving || look === looksMax) throw error;
    }
}

async function lookOnce(directory: string, isMoving: boolean, progress: Progress): Promise<Verified> {
  await using parts = await openParts(directory, isMoving, progress);
  const findings: Finding[] = [];
  let leftOut = 0;
  const add: Add = (finding) => {
    const isInJournal = finding.segment !== undefined;
    const advice = isMoving && isInJournal ? adviseCompact(directory) : adviseSalvage(directory);
    if (findings.length < findingsMax) findings.push({ advice, ...finding });
    else leftOut++;
  };
  const { survey, position } = parts;
  const { run, isMissing, from, synced } = findRun(survey.segments);
  findInFiles(directory, parts, add);
  findInRun(directory, parts, run, isMoving, add);
  const isDamaged = findings.some(({ severity }) => severity === 'damage');
  for (const finding of findBroken(survey.segments, from.segment, run)) {
    const isTail = finding.ordinal > synced && !isMissing && !isDamaged;
    if (!isMoving || !isTail) add(isTail ? tornTail(finding) : broken(finding));
  }
  const whole = run.batches.filter(({ batch }) => !isMoving || batch.ordinal <= Math.max(synced, 1));
  const { fold, records } = await foldWhole(parts, whole, add, progress);
  const ended = parts.book === undefined ? 0 : findInBook(parts.book, isMoving, add, progress);
  if (isBackup(directory)) await findInBackup(directory, add, progress);
  const last = whole.at(-1)?.batch;
  return {
    directory,
    is_moving: isMoving,
    is_whole: !findings.some(({ severity }) => severity === 'damage'),
    store_id: Buffer.from(survey.storeId).toString('hex'),
    epoch: last?.epoch ?? 0,
    sequence: last?.sequence ?? 0,
    segments: survey.segments.length,
    journal_bytes: survey.segments.reduce((sum, { bytes }) => sum + bytes, 0),
    batches: whole.length,
    records,
    live_tasks: fold.durable.tasks.size,
    settings: fold.durable.settings.size,
    ended_tasks: ended,
    book_sequence: position?.sequence ?? 0,
    findings,
    findings_left_out: leftOut,
  };
}

/** Of damage that names no other way, the advice is to salvage. */
type Seen = Omit<Finding, 'advice'> & Partial<Pick<Finding, 'advice'>>;
type Add = (finding: Seen) => void;

/** What stands beside the batches: the store's own file, heads of segments, copies of torn tails, the book's file. */
function findInFiles(directory: string, { survey, bookError }: Parts, add: Add): void {
  if (!survey.hasIdentity)
    add({
      ...{ severity: 'note', code: 'identity_damaged', message: 'journal.json is missing or not whole.' },
      advice: 'The heads of the segments say the same; the next start writes it again.',
    });
  for (const { number, isWhole, contentBytes } of survey.segments)
    if (!isWhole && contentBytes > 0)
      add({
        ...{ severity: 'note', code: 'head_damaged', segment: number, byte: 0 },
        message: `The head of segment ${segmentName(number)} is not whole, or the file was cut.`,
        advice: 'Its batches are found without it; what is missing behind them is named where it matters.',
      });
  for (const name of readdirSync(journalIn(directory)).filter((one) => one.startsWith('journal.torn-')))
    add({
      ...{ severity: 'note', code: 'torn_copy', advice: 'It may be removed.' },
      message: `${name} (${statSync(`${journalIn(directory)}/${name}`).size} bytes) is a copy of what a crash left half written; nothing in it was acknowledged.`,
    });
  if (bookError !== undefined) add({ severity: 'damage', code: 'book_unreadable', message: bookError.message });
}

/** What a start would refuse. */
function findInRun(directory: string, parts: Parts, run: Run, isMoving: boolean, add: Add): void {
  const { survey, position, bookError } = parts;
  try {
    // What a broker has written to the book since the journal was looked at is no damage.
    const isAhead = isMoving && position !== undefined && position.sequence > run.sequence;
    if (isAhead || bookError !== undefined) recoverRun(survey.segments, {});
    else refuseDamaged(directory, parts);
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    const advice =
      error.code === 'journal_foreign'
        ? { advice: 'Put back the book that belongs to this journal, or restore a backup of both.' }
        : {};
    add({
      severity: 'damage',
      code: error.code,
      message: error.message,
      ...advice,
      segment: run.segment,
      sequence: run.sequence,
      byte: run.block * blockBytes,
    });
  }
}

interface Broken {
  readonly segment: number;
  readonly byte: number;
  readonly bytes: number;
  /** Of the first batch that is not there, as far as it can be told. */
  readonly ordinal: number;
  /** Of the last whole batch before. */
  readonly sequence: number;
}

/** Stretches of the segments in use that are neither zeros nor part of a whole batch. */
function* findBroken(segments: readonly ScannedSegment[], first: number, run: Run): Generator<Broken> {
  let [ordinal, sequence] = [0, 0];
  for (const { number, batches, contentBytes } of segments) {
    if (number < first) continue;
    let at = blockBytes;
    const upTo = (end: number): Broken[] =>
      end <= at ? [] : [{ segment: number, byte: at, bytes: end - at, ordinal: ordinal + 1, sequence }];
    for (const { block, blocks, ...batch } of batches) {
      yield* upTo(block * blockBytes);
      at = (block + blocks) * blockBytes;
      ({ ordinal, sequence } = batch);
    }
    if (number <= run.segment || batches.length > 0) yield* upTo(contentBytes);
  }
}

const tornTail = ({ segment, byte, bytes, sequence }: Broken): Finding => ({
  ...{ severity: 'note', code: 'torn_tail', segment, byte, sequence },
  message: `${bytes} bytes behind batch ${sequence} are half written: a crash came before they were synced, and nothing in them was acknowledged.`,
  advice: `${adviseNothing} The next start cuts them and keeps a copy.`,
});

const broken = ({ segment, byte, bytes, sequence }: Broken): Seen => ({
  ...{ severity: 'damage', code: 'batch_damaged', segment, byte, sequence: sequence + 1 },
  message: `${bytes} bytes are no whole batch: what stood there, from batch ${sequence + 1} on, has changed since it was synced.`,
});

async function foldWhole({ survey }: Parts, whole: readonly PlacedBatch[], add: Add, progress: Progress) {
  let place: PlacedBatch | undefined;
  const fold = new Fold({
    damaged: (sequence, byte, why) =>
      add({
        ...{ severity: 'damage', code: 'record_damaged', segment: place!.segment, sequence },
        byte: place!.batch.block * blockBytes + headerBytes + byte,
        message: `A record of batch ${sequence} is not whole, at byte ${byte} of its body: ${why.message}.`,
      }),
  });
  let records = 0;
  for await (const { body, ...placed } of survey.bodies(whole)) {
    place = placed;
    const { sequence, kind, records: stated } = placed.batch;
    progress('reading records', placed.batch.ordinal - whole[0]!.batch.ordinal + 1, whole.length);
    if (kind !== 'records') continue;
    const count = fold.batch(sequence, body);
    records += count;
    if (count !== stated)
      add({
        ...{ severity: 'damage', code: 'record_missing', segment: placed.segment, sequence },
        message: `Batch ${sequence} holds ${count} records, and its header says ${stated}.`,
      });
  }
  return { fold, records };
}

/** How many tasks have a whole row. */
function findInBook(book: BookReader, isMoving: boolean, add: Add, progress: Progress): number {
  const damage = (message: string, task?: number): void =>
    add({
      severity: 'damage',
      code: 'book_damaged',
      message,
      ...(task === undefined ? {} : { task }),
    });
  // In one go it would hold up a broker that wants to save its book.
  if (!isMoving) for (const text of book.flaws()) damage(`SQLite finds in the book: ${text}`);
  const { seqs, damage: unread } = book.seqs();
  for (const { message } of unread) damage(message);
  let ended = 0;
  for (const [at, seq] of seqs.entries()) {
    if (at % 1000 === 0) progress('reading the book', at, seqs.length);
    const entry = book.entry(seq);
    for (const { message } of entry.damage) damage(message, seq);
    if (entry.task !== undefined) ended++;
  }
  return ended;
}
