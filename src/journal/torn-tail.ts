/** Cuts what was written behind the run and never synced; a copy of it is kept beside. */
import type { Disk, DiskFile } from './disk.ts';
import { blockBytes } from './header.ts';
import { JournalError } from './port.ts';
import type { Run } from './recovery.ts';
import type { ScannedSegment } from './scan.ts';
import type { SegmentFiles } from './segments.ts';

/** Copies beyond this many are removed, the oldest first. */
const copiesMax = 10;
const copyName = /^journal\.torn-(\d+)$/;

export interface CutTailOptions {
  readonly disk: Disk;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly cut?: (sequence: number, bytes: number, copy: string) => void;
}

/** The segment of the run's end is blank behind it afterwards, and those after it are ready to be used. */
export async function cutTail(
  { disk, randomBytes, cut }: CutTailOptions,
  files: SegmentFiles,
  scanned: readonly ScannedSegment[],
  handles: ReadonlyMap<number, DiskFile>,
  run: Run,
): Promise<void> {
  for (const segment of scanned) {
    if (segment.number < run.segment) continue;
    const isHead = segment.number === run.segment;
    const fromByte = (isHead ? run.block : 1) * blockBytes;
    const file = handles.get(segment.number)!;
    if (segment.contentBytes > fromByte && (isHead || segment.batches.length > 0)) {
      const copy = await copyTail(disk, file, fromByte, segment.contentBytes);
      cut?.(run.sequence, segment.contentBytes - fromByte, copy);
    }
    const salt = segment.salt ?? randomBytes(16);
    if (isHead && segment.salt === undefined)
      throw new JournalError('journal_damaged', `The salt of segment ${segment.number} is not known.`);
    const isReady = segment.contentBytes <= fromByte && segment.isWhole;
    const ready = { number: segment.number, salt, file, bytes: segment.bytes };
    const cleared = isReady ? ready : await files.clear(file, segment.number, salt, fromByte);
    segment.bytes = cleared.bytes;
    if (!isHead) files.spares.push(cleared);
  }
}

async function copyTail(disk: Disk, from: DiskFile, start: number, end: number): Promise<string> {
  const numbers = (await disk.names()).flatMap((name) => copyName.exec(name)?.[1] ?? []).map(Number);
  numbers.sort((a, b) => a - b);
  const name = `journal.torn-${(numbers.at(-1) ?? 0) + 1}`;
  const bytes = new Uint8Array(end - start);
  await from.read(bytes, start);
  const copy = await disk.open(name, { create: true, synced: false });
  await copy.write([bytes], 0);
  await copy.sync();
  await copy.close();
  for (const number of numbers.slice(0, Math.max(0, numbers.length - copiesMax + 1)))
    await disk.remove(`journal.torn-${number}`);
  return name;
}
