/**
 * Everything whole that a journal holds, also behind a break that a start refuses: for salvage. What stands before the
 * floor is not needed and not looked at. Behind a break nothing is taken unless something says that the break was synced
 * once: else it is a torn tail, which nobody was answered for.
 */
import { blockBytes } from './header.ts';
import type { Position } from './port.ts';
import { type FoundBatch, type FoundSegment, findRun, recordsCrcOf } from './recovery.ts';
import type { ScannedSegment } from './scan.ts';
import type { PlacedBatch } from './survey.ts';

/** Batches that were synced once and are not whole any more. */
export interface Gap {
  /** The last batch of records before; undefined when the journal's beginning is missing, or all of it. */
  readonly after: number | undefined;
  /** The last batch of records in the gap. */
  readonly last: number;
  /** The ordinal of the first batch behind it; undefined when nothing follows. */
  readonly before: number | undefined;
}

interface WholeBatches {
  /** In order of their ordinals. */
  readonly batches: readonly PlacedBatch[];
  readonly gaps: readonly Gap[];
}

/** What is known of the file of a segment beside its batches. */
type Found = FoundSegment & Partial<Pick<ScannedSegment, 'isWhole' | 'contentBytes'>>;

export function wholeBatches(segments: readonly Found[], book: Position | undefined): WholeBatches {
  const { from, synced } = findRun(segments);
  const batches: PlacedBatch[] = [];
  const gaps: Gap[] = [];
  const isFirstOfAll = from.ordinal === 1;
  let [ordinal, crc] = [from.ordinal - 1, from.chain];
  let records: Position | undefined = isFirstOfAll ? { sequence: 0, crc: 0 } : undefined;
  for (const placed of candidates(segments, from.ordinal)) {
    const { batch } = placed;
    if (batch.ordinal <= ordinal) continue; // written twice; the later epoch came first
    const isBroken = batch.ordinal !== ordinal + 1 || batch.chain !== crc;
    const wasSynced =
      synced > ordinal || (book !== undefined && records !== undefined && book.sequence > records.sequence);
    if (isBroken && !wasSynced) break;
    if (isBroken && !followsRecords(batch, records))
      gaps.push({ after: records?.sequence, last: batch.sequence - countOf(batch), before: batch.ordinal });
    batches.push(placed);
    ({ ordinal, crc } = batch);
    // What the journal writes for itself knows the batch of records before it, also one that is missing and told.
    records = { sequence: batch.sequence, crc: recordsCrcOf(batch) };
  }
  const last = batches.length === 0 ? undefined : records?.sequence;
  if (synced > ordinal || leadsNowhere(batches.at(-1), segments))
    gaps.push({ after: last, last: Math.max(book?.sequence ?? 0, (last ?? 0) + 1), before: undefined });
  else if (book !== undefined && book.sequence > (last ?? 0))
    gaps.push({ after: last, last: book.sequence, before: undefined });
  return { batches, gaps };
}

/** Whether it closes its segment, and the one that follows is not there: that was synced before. */
function leadsNowhere(last: PlacedBatch | undefined, segments: readonly Found[]): boolean {
  if (last?.batch.kind !== 'close') return false;
  const next = segments.find(({ number }) => number === last.batch.pointer!.segment);
  return next === undefined || (next.isWhole === false && next.contentBytes! > blockBytes && next.batches.length === 0);
}

const countOf = ({ kind }: FoundBatch): number => (kind === 'records' ? 1 : 0);

/** Whether no batch of records is missing before this one, only such that the journal writes for itself. */
const followsRecords = (batch: FoundBatch, records: Position | undefined): boolean =>
  records !== undefined && batch.sequence - countOf(batch) === records.sequence && batch.recordsChain === records.crc;

function candidates(segments: readonly FoundSegment[], first: number): PlacedBatch[] {
  const all = segments.flatMap(({ number: segment, batches }) => batches.map((batch) => ({ segment, batch })));
  return all
    .filter(({ batch }) => batch.ordinal >= first)
    .sort((a, b) => a.batch.ordinal - b.batch.ordinal || b.batch.epoch - a.batch.epoch);
}
