/**
 * A batch as it lies in a segment: a header of 128 bytes, the body, and zeros up to the next block of 4 KiB. Numbers are
 * unsigned and big-endian.
 *
 *       0  16  salt of the segment: no body can look like a header
 *      16  16  id of the store
 *      32   1  kind: 1 records, 2 seal (empty), 3 close (the last of its segment; empty)
 *      33   1  1 when a pointer stands in 72–107, else 0
 *      34   2  format of the header: 1
 *      36   4  bytes of the body
 *      40   4  epoch of the start that wrote it
 *      44   4  CRC-32 of the last batch of records before
 *      48   8  sequence: how many batches of records there are up to here, this one included
 *      56   8  the highest ordinal that was known to be synced when this one was written
 *      64   4  CRC-32 of the batch before
 *      68   4  how many records the body holds
 *      72   8  pointer: ordinal of the first batch of a segment
 *      80   8  pointer: number of that segment
 *      88  16  pointer: its salt
 *     104   4  pointer: CRC-32 of the batch before that first batch
 *     108   8  wall time of writing, ms since 1970 (for people; nothing depends on it)
 *     116   8  ordinal: how many batches of any kind there are up to here, this one included
 *     124   4  CRC-32 of the 124 bytes before and of the body
 *
 * The pointer of a closing batch is to the segment that follows; any other is a floor: nothing before that segment is
 * needed any more. The CRC-32 is that of zlib.
 */
import { crc32 } from 'node:zlib';

export const blockBytes = 4096;
export const headerBytes = 128;
export const saltBytes = 16;
const crcAt = 124;
const formatVersion = 1;

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
  into.set(salt, 0);
  into.set(storeId, 16);
  view.setUint8(32, kinds.indexOf(header.kind));
  view.setUint16(34, formatVersion);
  view.setUint32(36, header.bodyBytes);
  view.setUint32(40, header.epoch);
  view.setUint32(44, header.recordsChain);
  writeNumber(view, 48, header.sequence);
  writeNumber(view, 56, header.synced);
  view.setUint32(64, header.chain);
  view.setUint32(68, header.records);
  if (header.pointer !== undefined) writePointer(view, into, header.pointer);
  writeNumber(view, 108, header.writtenAtMs);
  writeNumber(view, 116, header.ordinal);
  let crc = crc32(into.subarray(0, crcAt));
  for (const part of parts) crc = crc32(part, crc);
  view.setUint32(crcAt, crc);
  return crc;
}

function writePointer(view: DataView, into: Uint8Array, pointer: SegmentPointer): void {
  view.setUint8(33, 1);
  writeNumber(view, 72, pointer.ordinal);
  writeNumber(view, 80, pointer.segment);
  into.set(pointer.salt, 88);
  view.setUint32(104, pointer.chain);
}

interface ReadBatch extends BatchHeader {
  readonly crc: number;
  /** A view of the bytes that were read. */
  readonly body: Uint8Array;
}

/**
 * The whole batch that begins at `at`, or undefined when none does: another salt, another store, a length beyond `bytes`,
 * or a CRC that does not agree.
 */
export function readBatch(bytes: Uint8Array, at: number, salt: Uint8Array, storeId: Uint8Array): ReadBatch | undefined {
  if (at + headerBytes > bytes.length || !isAt(bytes, at, salt) || !isAt(bytes, at + 16, storeId)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, headerBytes);
  const kind = kinds[view.getUint8(32)];
  const bodyBytes = view.getUint32(36);
  const bodyAt = at + headerBytes;
  if (!kind || view.getUint16(34) !== formatVersion || bodyAt + bodyBytes > bytes.length) return undefined;
  const body = bytes.subarray(bodyAt, bodyAt + bodyBytes);
  const crc = crc32(body, crc32(bytes.subarray(at, at + crcAt)));
  if (crc !== view.getUint32(crcAt)) return undefined;
  return {
    kind,
    epoch: view.getUint32(40),
    recordsChain: view.getUint32(44),
    sequence: readNumber(view, 48),
    synced: readNumber(view, 56),
    chain: view.getUint32(64),
    records: view.getUint32(68),
    bodyBytes,
    pointer: view.getUint8(33) === 1 ? readPointer(bytes, at, view) : undefined,
    writtenAtMs: readNumber(view, 108),
    ordinal: readNumber(view, 116),
    crc,
    body,
  };
}

const readPointer = (bytes: Uint8Array, at: number, view: DataView): SegmentPointer => ({
  ordinal: readNumber(view, 72),
  segment: readNumber(view, 80),
  salt: bytes.slice(at + 88, at + 88 + saltBytes),
  chain: view.getUint32(104),
});

export function isAt(bytes: Uint8Array, at: number, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}

// ── the head of a segment ──

const magic = new TextEncoder().encode('deye journal\n');
const headBytes = 80;

/** The first block of a segment: the words "deye journal", a format, and who it is. */
export interface SegmentHead {
  readonly storeId: Uint8Array;
  readonly segment: number;
  readonly salt: Uint8Array;
}

/**
 *       0  13  "deye journal\n"
 *      14   2  format: 1
 *      16  16  id of the store
 *      32   8  number of the segment
 *      40  16  salt
 *      76   4  CRC-32 of the 76 bytes before; the rest of the block is zeros
 */
export function segmentHead({ storeId, segment, salt }: SegmentHead): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const view = new DataView(block.buffer);
  block.set(magic, 0);
  view.setUint16(14, formatVersion);
  block.set(storeId, 16);
  writeNumber(view, 32, segment);
  block.set(salt, 40);
  view.setUint32(headBytes - 4, crc32(block.subarray(0, headBytes - 4)));
  return block;
}

/** The head that stands at the beginning of `bytes`, or undefined when it is not whole. */
export function readSegmentHead(bytes: Uint8Array): SegmentHead | undefined {
  if (bytes.length < headBytes || !isAt(bytes, 0, magic)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headBytes);
  if (view.getUint16(14) !== formatVersion) return undefined;
  if (crc32(bytes.subarray(0, headBytes - 4)) !== view.getUint32(headBytes - 4)) return undefined;
  return { storeId: bytes.slice(16, 32), segment: readNumber(view, 32), salt: bytes.slice(40, 56) };
}
