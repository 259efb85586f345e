/** Cuts what was written behind the run and never synced; a copy of it is kept beside. */
import { type Disk, type DiskFile, DiskFullError } from './disk.ts';
import { blockBytes, saltBytes } from './header.ts';
import { JournalError } from './port.ts';
import type { Run } from './recovery.ts';
import { type ScannedSegment, segmentName } from './scan.ts';
import { type SegmentFiles, smallestSegment } from './segments.ts';

/** Copies beyond this many are removed, the oldest first. */
const copiesMax = 10;
const copyName = /^journal\.torn-(\d+)$/;

interface CutTailOptions {
  readonly disk: Disk;
  readonly segmentBytes: number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly cut?: (sequence: number, bytes: number, copy: string | undefined) => void;
}

/** The segment of the run's end is blank behind it afterwards, and those after it are ready to be used. */
export async function cutTail(
  options: CutTailOptions,
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
      const copy = await copyTail(options.disk, file, fromByte, segment.contentBytes);
      options.cut?.(run.sequence, segment.contentBytes - fromByte, copy);
    }
    const isReady = segment.contentBytes <= fromByte && segment.isWhole;
    if (isHead) await (isReady || clearHead(options, files, segment, file, fromByte));
    else await addSpare(options, files, segment, file, isReady);
  }
}

/** Of a segment whose file may have been cut short. */
const wholeBytes = ({ bytes }: ScannedSegment, { segmentBytes }: CutTailOptions): number =>
  Math.max(smallestSegment(segmentBytes), Math.ceil(bytes / blockBytes) * blockBytes);

async function clearHead(
  options: CutTailOptions,
  files: SegmentFiles,
  segment: ScannedSegment,
  file: DiskFile,
  fromByte: number,
): Promise<void> {
  if (segment.salt === undefined)
    throw new JournalError('journal_damaged', `The salt of segment ${segment.number} is not known.`);
  const { number, salt } = segment;
  ({ bytes: segment.bytes } = await files.clear(file, { number, salt, bytes: wholeBytes(segment, options) }, fromByte));
}

/** A segment that is not in use yet; one that a full disk does not let us make ready is removed. */
async function addSpare(
  options: CutTailOptions,
  files: SegmentFiles,
  segment: ScannedSegment,
  file: DiskFile,
  isReady: boolean,
): Promise<void> {
  const { disk, randomBytes } = options;
  const { number, salt = randomBytes(saltBytes) } = segment;
  const bytes = wholeBytes(segment, options);
  try {
    files.spares.push(isReady ? { number, salt, file, bytes } : await files.clear(file, { number, salt, bytes }));
  } catch (error) {
    if (!(error instanceof DiskFullError)) throw error;
    await file.close();
    await disk.remove(segmentName(number));
  }
}

/** The name of the copy; undefined when the disk is full. Nothing in it was ever answered. */
async function copyTail(disk: Disk, from: DiskFile, start: number, end: number): Promise<string | undefined> {
  const numbers = (await disk.names()).flatMap((name) => copyName.exec(name)?.[1] ?? []).map(Number);
  numbers.sort((a, b) => a - b);
  for (const number of numbers.slice(0, Math.max(0, numbers.length - copiesMax + 1)))
    await disk.remove(`journal.torn-${number}`);
  const name = `journal.torn-${(numbers.at(-1) ?? 0) + 1}`;
  const bytes = new Uint8Array(end - start);
  await from.read(bytes, start);
  let copy: DiskFile | undefined;
  try {
    copy = await disk.open(name, { create: true, synced: false });
    await copy.write([bytes], 0);
    await copy.sync();
    return name;
  } catch (error) {
    if (!(error instanceof DiskFullError)) throw error;
    if (copy !== undefined) await disk.remove(name);
    return undefined;
  } finally {
    await copy?.close();
  }
}
