/**
 * A batch as it lies in a segment: a header of 128 bytes (`batchLayout`), the body, and zeros up to the next block of
 * 4 KiB. Numbers are unsigned and big-endian. deye-store(7) prints the layouts.
 *
 * The pointer of a closing batch is to the segment that follows; any other is a floor: nothing before that segment is
 * needed any more. The CRC-32 is that of zlib.
 */
import { crc32 } from 'node:zlib';

export const blockBytes = 4096;
export const headerBytes = 128;
export const saltBytes = 16;
const formatVersion = 1;

interface Place {
  readonly at: number;
  readonly bytes: number;
  readonly summary: string;
}
const place = (at: number, bytes: number, summary: string): Place => ({ at, bytes, summary });

export const batchLayout = {
  salt: place(0, 16, 'salt of the segment: no body can look like a header'),
  storeId: place(16, 16, 'id of the store'),
  kind: place(32, 1, 'kind: 1 records, 2 seal (empty), 3 close (the last of its segment; empty)'),
  hasPointer: place(33, 1, '1 when a pointer stands in 72 to 107, else 0'),
  format: place(34, 2, 'format of the header: 1'),
  bodyBytes: place(36, 4, 'bytes of the body'),
  epoch: place(40, 4, 'epoch of the start that wrote it'),
  recordsChain: place(44, 4, 'CRC-32 of the last batch of records before; 0 when there was none'),
  sequence: place(48, 8, 'sequence: how many batches of records there are up to here, this one included'),
  synced: place(56, 8, 'the highest ordinal that was known to be synced when this one was written'),
  chain: place(64, 4, 'CRC-32 of the batch before; 0 before the first of all'),
  records: place(68, 4, 'how many records the body holds'),
  pointerOrdinal: place(72, 8, 'pointer: ordinal of the first batch of a segment'),
  pointerSegment: place(80, 8, 'pointer: number of that segment'),
  pointerSalt: place(88, 16, 'pointer: its salt'),
  pointerChain: place(104, 4, 'pointer: CRC-32 of the batch before that first batch'),
  writtenAtMs: place(108, 8, 'wall time of writing, ms since 1970 (for people; nothing depends on it)'),
  ordinal: place(116, 8, 'ordinal: how many batches of any kind there are up to here, this one included'),
  crc: place(124, 4, 'CRC-32 of the 124 bytes before and of the body'),
} as const satisfies Record<string, Place>;

const at = Object.fromEntries(Object.entries(batchLayout).map(([name, { at: offset }]) => [name, offset])) as {
  readonly [Name in keyof typeof batchLayout]: number;
};

const kinds = ['', 'records', 'seal', 'close'] as const;
export type BatchKind = 'records' | 'seal' | 'close';

/** A segment, and where the chain stands at its beginning. */
export interface SegmentPointer {
  readonly segment: number;
  readonly salt: Uint8Array;
  /** Of the first batch of the segment. */
  readonly ordinal: number;
  /** CRC of the batch before that one; 0 before the first of all. */
  readonly chain: number;
}

export interface BatchHeader {
  readonly kind: BatchKind;
  readonly epoch: number;
  /** Counts every batch, from 1. */
  readonly ordinal: number;
  /** Counts the batches of records; a batch of another kind has that of the last one. */
  readonly sequence: number;
  /** The highest ordinal known to be synced when this batch was written. */
  readonly synced: number;
  /** CRC of the batch before. */
  readonly chain: number;
  /** CRC of the last batch of records before; 0 when there was none. */
  readonly recordsChain: number;
  readonly records: number;
  readonly bodyBytes: number;
  /** In a `close`: the segment that follows. Otherwise a floor. */
  readonly pointer: SegmentPointer | undefined;
  readonly writtenAtMs: number;
}

/** Whole blocks that a batch with such a body takes. */
export const blocksOf = (bodyBytes: number): number => Math.ceil((headerBytes + bodyBytes) / blockBytes);

const readNumber = (view: DataView, at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);

function writeNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

/** Writes the header of a batch whose body stands in `parts`; answers the batch's CRC. `into` has 128 bytes. */
export function writeHeader(
  into: Uint8Array,
  salt: Uint8Array,
  storeId: Uint8Array,
  header: BatchHeader,
  parts: readonly Uint8Array[],
): number {
  const view = new DataView(into.buffer, into.byteOffset, headerBytes);
  into.fill(0, 0, headerBytes);
  into.set(salt, at.salt);
  into.set(storeId, at.storeId);
  view.setUint8(at.kind, kinds.indexOf(header.kind));
  view.setUint16(at.format, formatVersion);
  view.setUint32(at.bodyBytes, header.bodyBytes);
  view.setUint32(at.epoch, header.epoch);
  view.setUint32(at.recordsChain, header.recordsChain);
  writeNumber(view, at.sequence, header.sequence);
  writeNumber(view, at.synced, header.synced);
  view.setUint32(at.chain, header.chain);
  view.setUint32(at.records, header.records);
  if (header.pointer !== undefined) writePointer(view, into, header.pointer);
  writeNumber(view, at.writtenAtMs, header.writtenAtMs);
  writeNumber(view, at.ordinal, header.ordinal);
  let crc = crc32(into.subarray(0, at.crc));
  for (const part of parts) if (part.length > 0) crc = crc32(part, crc); // on Node 22 nothing at all may make it 0
  view.setUint32(at.crc, crc);
  return crc;
}

function writePointer(view: DataView, into: Uint8Array, pointer: SegmentPointer): void {
  view.setUint8(at.hasPointer, 1);
  writeNumber(view, at.pointerOrdinal, pointer.ordinal);
  writeNumber(view, at.pointerSegment, pointer.segment);
  into.set(pointer.salt, at.pointerSalt);
  view.setUint32(at.pointerChain, pointer.chain);
}

interface ReadBatch extends BatchHeader {
  readonly crc: number;
  /** A view of the bytes that were read. */
  readonly body: Uint8Array;
}

/**
 * The whole batch that begins at `start`, or undefined when none does: another salt, another store, a length beyond `bytes`,
 * or a CRC that does not agree.
 */
export function readBatch(
  bytes: Uint8Array,
  start: number,
  salt: Uint8Array,
  storeId: Uint8Array,
): ReadBatch | undefined {
  if (start + headerBytes > bytes.length) return undefined;
  if (!isAt(bytes, start + at.salt, salt) || !isAt(bytes, start + at.storeId, storeId)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, headerBytes);
  const kind = kinds[view.getUint8(at.kind)];
  const bodyBytes = view.getUint32(at.bodyBytes);
  const bodyAt = start + headerBytes;
  if (!kind || view.getUint16(at.format) !== formatVersion || bodyAt + bodyBytes > bytes.length) return undefined;
  const body = bytes.subarray(bodyAt, bodyAt + bodyBytes);
  const headCrc = crc32(bytes.subarray(start, start + at.crc));
  const crc = body.length === 0 ? headCrc : crc32(body, headCrc);
  if (crc !== view.getUint32(at.crc)) return undefined;
  return {
    kind,
    epoch: view.getUint32(at.epoch),
    recordsChain: view.getUint32(at.recordsChain),
    sequence: readNumber(view, at.sequence),
    synced: readNumber(view, at.synced),
    chain: view.getUint32(at.chain),
    records: view.getUint32(at.records),
    bodyBytes,
    pointer: view.getUint8(at.hasPointer) === 1 ? readPointer(bytes, start, view) : undefined,
    writtenAtMs: readNumber(view, at.writtenAtMs),
    ordinal: readNumber(view, at.ordinal),
    crc,
    body,
  };
}

const readPointer = (bytes: Uint8Array, start: number, view: DataView): SegmentPointer => ({
  ordinal: readNumber(view, at.pointerOrdinal),
  segment: readNumber(view, at.pointerSegment),
  salt: bytes.slice(start + at.pointerSalt, start + at.pointerSalt + saltBytes),
  chain: view.getUint32(at.pointerChain),
});

export function isAt(bytes: Uint8Array, start: number, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[start + i] !== what[i]) return false;
  return true;
}

// ── the head of a segment ──

const magic = new TextEncoder().encode('deye journal\n');
const headBytes = 80;

export const headLayout = {
  magic: place(0, 13, 'the text "deye journal" and a line feed'),
  format: place(14, 2, 'format: 1'),
  storeId: place(16, 16, 'id of the store'),
  segment: place(32, 8, 'number of the segment'),
  salt: place(40, 16, 'salt'),
  crc: place(76, 4, 'CRC-32 of the 76 bytes before; the rest of the block is zeros'),
} as const satisfies Record<string, Place>;

/** The first block of a segment: the words "deye journal", a format, and who it is. */
export interface SegmentHead {
  readonly storeId: Uint8Array;
  readonly segment: number;
  readonly salt: Uint8Array;
}

export function segmentHead({ storeId, segment, salt }: SegmentHead): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const view = new DataView(block.buffer);
  block.set(magic, headLayout.magic.at);
  view.setUint16(headLayout.format.at, formatVersion);
  block.set(storeId, headLayout.storeId.at);
  writeNumber(view, headLayout.segment.at, segment);
  block.set(salt, headLayout.salt.at);
  view.setUint32(headLayout.crc.at, crc32(block.subarray(0, headLayout.crc.at)));
  return block;
}

/** The head that stands at the beginning of `bytes`, or undefined when it is not whole. */
export function readSegmentHead(bytes: Uint8Array): SegmentHead | undefined {
  if (bytes.length < headBytes || !isAt(bytes, 0, magic)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headBytes);
  if (view.getUint16(headLayout.format.at) !== formatVersion) return undefined;
  if (crc32(bytes.subarray(0, headLayout.crc.at)) !== view.getUint32(headLayout.crc.at)) return undefined;
  const take = ({ at: from, bytes: count }: Place): Uint8Array => bytes.slice(from, from + count);
  return {
    storeId: take(headLayout.storeId),
    segment: readNumber(view, headLayout.segment.at),
    salt: take(headLayout.salt),
  };
}
