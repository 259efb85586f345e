/**
 * Reads segments: which whole batches stand in them. The salt of a segment stands in its head, in the batch that closes
 * the segment before it, and in a floor that points to it, so that one damaged byte hides no segment; that of the first
 * is repeated in the store's own file.
 */
import type { DiskFile } from './disk.ts';
import { blockBytes, blocksOf, readBatch, readSegmentHead } from './header.ts';
import { JournalError } from './port.ts';
import type { FoundBatch, FoundSegment } from './recovery.ts';

export interface ScannedSegment extends FoundSegment {
  readonly batches: FoundBatch[];
  salt: Uint8Array | undefined;
  /** Of the file. */
  bytes: number;
  /** Up to the last one that is not zero. */
  contentBytes: number;
  /** Whether its head stands, and the file ends where its blocks do. */
  isWhole: boolean;
}

export const segmentName = (number: number): string => `${String(number).padStart(12, '0')}.journal`;

/** The number in the name of a segment, or undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const match = /^(\d{12})\.journal$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** What a file holds, up to `most` bytes. */
export async function readAll(file: DiskFile, most = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.min(most, await file.size()));
  return bytes.subarray(0, await file.read(bytes, 0));
}

const zeros = Buffer.alloc(64 * 1024);

/** How many bytes there are up to the last that is not zero. */
export function contentBytes(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0) {
    const start = Math.max(0, end - zeros.length);
    if (!zeros.subarray(0, end - start).equals(bytes.subarray(start, end))) break;
    end = start;
  }
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

/**
 * All segments, by number. `files` are opened; `firstSalt` is that of segment 1. Reads one segment at a time into memory;
 * `reading` is told which of how many.
 */
export async function scanSegments(
  files: ReadonlyMap<number, DiskFile>,
  storeId: Uint8Array,
  firstSalt: Uint8Array | undefined,
  reading: (at: number, of: number) => void = () => {},
): Promise<ScannedSegment[]> {
  const named = new Map<number, Uint8Array>(firstSalt === undefined ? [] : [[1, firstSalt]]);
  const segments: ScannedSegment[] = [];
  for (const number of [...files.keys()].sort((a, b) => a - b))
    segments.push({ number, salt: undefined, batches: [], bytes: 0, contentBytes: 0, isWhole: false });
  // A later segment may name the salt of an earlier one whose head is damaged: again, until nothing new is found.
  for (let found = true; found; ) {
    found = false;
    for (const [at, segment] of segments.entries()) {
      if (segment.salt !== undefined) continue;
      reading(at + 1, segments.length);
      const bytes = await readAll(files.get(segment.number)!);
      const salt = headSalt(bytes, segment.number, storeId);
      segment.bytes = bytes.length;
      segment.contentBytes = contentBytes(bytes);
      segment.isWhole = salt !== undefined && bytes.length % blockBytes === 0;
      segment.salt = salt ?? named.get(segment.number);
      if (segment.salt === undefined) continue;
      found = true;
      segment.batches.push(...batchesIn(bytes, segment.salt, storeId));
      for (const { pointer } of segment.batches) if (pointer !== undefined) named.set(pointer.segment, pointer.salt);
    }
  }
  return segments;
}

function headSalt(bytes: Uint8Array, number: number, storeId: Uint8Array): Uint8Array | undefined {
  const head = readSegmentHead(bytes);
  if (head === undefined) return undefined;
  if (!Buffer.from(head.storeId).equals(storeId))
    throw new JournalError(
      'journal_foreign',
      `Segment ${segmentName(number)} belongs to another store. Put it back where it belongs.`,
    );
  return head.segment === number ? head.salt : undefined; // prepared for another number: it holds nothing yet
}

function batchesIn(bytes: Uint8Array, salt: Uint8Array, storeId: Uint8Array): FoundBatch[] {
  const found: FoundBatch[] = [];
  for (let block = 1; block * blockBytes < bytes.length; ) {
    const batch = readBatch(bytes, block * blockBytes, salt, storeId);
    if (batch === undefined) block++;
    else {
      const { body: _body, ...header } = batch;
      const blocks = blocksOf(batch.bodyBytes);
      found.push({ ...header, block, blocks });
      block += blocks;
    }
  }
  return found;
}
