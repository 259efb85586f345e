/** Reads batches back, one segment in memory at a time. */
import assert from 'node:assert/strict';
import { blockBytes, blocksOf, headerBytes, readBatch } from './header.ts';
import { JournalError, type StoredBatch } from './port.ts';
import { readAll } from './scan.ts';
import type { UsedSegment } from './segments.ts';

/** The batches of records from `from` up to `upTo`. Rejects with `journal_damaged` when one has changed on the disk. */
export async function* readFrom(
  used: readonly UsedSegment[],
  storeId: Uint8Array,
  from: number,
  upTo: number,
): AsyncGenerator<StoredBatch> {
  let next = from;
  for (const segment of used.filter(({ lastSequence }) => lastSequence >= from)) {
    if (next > upTo) return;
    const bytes = await readAll(segment.file);
    for (let block = 1, isLast = false; !isLast && next <= upTo; ) {
      const batch = readBatch(bytes, block * blockBytes, segment.salt, storeId);
      if (batch === undefined)
        throw new JournalError(
          'journal_damaged',
          `Batch ${next} is not whole any more: byte ${block * blockBytes} of segment ${segment.number}.`,
        );
      block += blocksOf(batch.bodyBytes);
      isLast = batch.kind === 'close';
      if (batch.kind !== 'records' || batch.sequence < next) continue;
      const { epoch, sequence, crc, records, body } = batch;
      next = sequence + 1;
      yield { epoch, sequence, crc, records, body };
    }
  }
}

/** As the journal's port says. */
export async function readAt(
  used: readonly UsedSegment[],
  sequence: number,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const segment = used.find((one) => one.firstSequence <= sequence && sequence <= one.lastSequence);
  const block = segment?.blocks[sequence - segment.firstSequence];
  assert(segment !== undefined && block !== undefined, `batch ${sequence} is not kept`);
  const bytes = new Uint8Array(length);
  await segment.file.read(bytes, block * blockBytes + headerBytes + offset);
  return bytes;
}
