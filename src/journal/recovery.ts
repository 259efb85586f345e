/**
 * What a journal's files mean: where the run of whole batches begins and ends, and whether what follows it is a torn tail
 * (written, never synced, never answered) or damage (it was synced once). Nothing here reads or writes.
 *
 * The run begins at the highest floor whose run is whole up to the batch that states it, or that a later batch knows to
 * be synced; files before it mean nothing, whatever they hold. It ends at the first batch that is not there, does
 * not carry on the chain of CRCs, or belongs to an earlier epoch. When a valid batch beyond, the book or a backup's
 * manifest says that this one was synced, that is damage and nothing is touched; otherwise the tail is cut.
 */
import { type BatchHeader, blockBytes, type SegmentPointer } from './header.ts';
import { JournalError, type Position } from './port.ts';

/** A whole batch, and the block of its segment at which it begins. */
export interface FoundBatch extends BatchHeader {
  readonly crc: number;
  readonly block: number;
  readonly blocks: number;
}

/** Of the last batch of records up to this one; what the journal writes for itself knows it. */
export const recordsCrcOf = (batch: FoundBatch): number => (batch.kind === 'records' ? batch.crc : batch.recordsChain);

export interface FoundSegment {
  readonly number: number;
  /** In order of their blocks. */
  readonly batches: readonly FoundBatch[];
}

/** A run of batches, and the place behind it. */
export interface Run {
  readonly batches: readonly { readonly segment: number; readonly batch: FoundBatch }[];
  /** Where the next batch belongs. */
  readonly segment: number;
  /** Whether that segment is there. */
  readonly hasSegment: boolean;
  readonly block: number;
  /** Of the last batch; 0 and the like before the first of all. */
  readonly ordinal: number;
  readonly sequence: number;
  readonly crc: number;
  readonly epoch: number;
}

/** What other places know of the journal. */
export interface Witnesses {
  /** The last batch in the book. */
  readonly book?: Position | undefined;
  /** The last batch that a backup's manifest says it copied. */
  readonly manifest?: number | undefined;
}

export function recoverRun(segments: readonly FoundSegment[], { book, manifest }: Witnesses): Run {
  const { run, from, isMissing } = findRun(segments);
  if (isMissing)
    throw new JournalError(
      'journal_damaged',
      `The journal is damaged: it begins in segment ${from.segment}, whose first batch is not there.`,
    );
  const synced = highestSynced(batchesBeyond(segments, run));
  if (synced > run.ordinal)
    throw damage(run, `a later one says that ${synced - run.ordinal} from there on were synced`);
  if (!run.hasSegment) throw run.batches.length === 0 ? noBeginning(segments) : damage(run, 'it was there once');
  if (manifest !== undefined && manifest > run.sequence)
    throw damage(run, `the manifest of the backup says that it goes on to ${manifest}`);
  if (book !== undefined) checkBook(run, book);
  return run;
}

const damage = (run: Run, witness: string): JournalError =>
  new JournalError(
    'journal_damaged',
    `The journal is damaged behind batch ${run.sequence}: ${
      run.hasSegment
        ? `at byte ${run.block * blockBytes} of segment ${run.segment}`
        : `segment ${run.segment} is missing`
    }, and ${witness}.`,
  );

const noBeginning = (segments: readonly FoundSegment[]): JournalError =>
  new JournalError(
    'journal_damaged',
    `The journal is damaged: its beginning is missing. ${
      segments.length === 0
        ? 'There is no segment.'
        : `The first segment that is there is ${Math.min(...segments.map(({ number }) => number))}, and nothing says that it may begin with that.`
    }`,
  );

function checkBook(run: Run, book: Position): void {
  if (book.sequence > run.sequence) throw damage(run, `the book has taken in batch ${book.sequence}`);
  const records = run.batches.filter(({ batch }) => batch.kind === 'records');
  const first = records[0]?.batch.sequence ?? run.sequence + 1;
  if (book.sequence < first - 1)
    throw new JournalError(
      'journal_damaged',
      `The book ends at batch ${book.sequence} and the journal begins at ${first}: what lies between is missing. ` +
        'The book was removed or restored from an older copy, or segments were removed.',
    );
  const crc =
    book.sequence < first ? (run.batches[0]?.batch.recordsChain ?? 0) : records[book.sequence - first]!.batch.crc;
  if (crc !== book.crc)
    throw new JournalError(
      'journal_damaged',
      `The book and the journal went different ways at batch ${book.sequence}: they are of different copies of the store.`,
    );
}

/** Batches behind the end of the run, in its segment and in later ones. */
const batchesBeyond = (segments: readonly FoundSegment[], run: Run): FoundBatch[] =>
  segments.flatMap(({ number, batches }) =>
    number < run.segment ? [] : batches.filter(({ block }) => number > run.segment || block >= run.block),
  );

const highestSynced = (batches: readonly FoundBatch[]): number =>
  batches.reduce((most, { synced }) => Math.max(most, synced), 0);

/** Where a journal begins, and what follows from there without a break. */
interface FoundRun {
  readonly from: Omit<SegmentPointer, 'salt'>;
  readonly run: Run;
  /** It was made to begin there, and its first batch is not there. */
  readonly isMissing: boolean;
  /** The highest ordinal that any whole batch knows to be synced. */
  readonly synced: number;
}

export function findRun(segments: readonly FoundSegment[]): FoundRun {
  const all = segments.flatMap(({ batches }) => batches);
  const synced = highestSynced(all);
  const floors = all
    .filter((batch) => batch.kind !== 'close' && batch.pointer !== undefined)
    .map((batch) => ({ floor: batch.pointer!, statedBy: batch.ordinal }))
    .sort((a, b) => b.floor.ordinal - a.floor.ordinal || b.statedBy - a.statedBy);
  for (const { floor, statedBy } of floors) {
    const isKnown = statedBy <= synced;
    const run = walk(segments, floor);
    const isMissing = run.batches.length === 0;
    if (isKnown || (!isMissing && run.ordinal >= statedBy)) return { from: floor, run, isMissing, synced };
  }
  const from = { segment: 1, ordinal: 1, chain: 0 };
  return { from, run: walk(segments, from), isMissing: false, synced };
}

/** The unbroken run from the beginning of a segment. */
function walk(segments: readonly FoundSegment[], from: Omit<SegmentPointer, 'salt'>): Run {
  const batches: { segment: number; batch: FoundBatch }[] = [];
  let { ordinal: next, chain, segment: number } = from;
  let [block, at, epoch, sequence] = [1, 0, 0, undefined as number | undefined];
  let segment = segments.find((one) => one.number === number);
  while (segment !== undefined) {
    const batch = segment.batches.at(at);
    if (batch === undefined || batch.block !== block || batch.ordinal !== next) break;
    if (batch.chain !== chain || batch.epoch < epoch) break;
    batches.push({ segment: number, batch });
    next++;
    at++;
    block += batch.blocks;
    ({ crc: chain, epoch, sequence } = batch);
    if (batch.kind !== 'close') continue;
    number = batch.pointer!.segment;
    [block, at] = [1, 0];
    segment = segments.find((one) => one.number === number);
  }
  const hasSegment = segment !== undefined;
  return { batches, segment: number, hasSegment, block, ordinal: next - 1, sequence: sequence ?? 0, crc: chain, epoch };
}
