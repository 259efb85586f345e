/**
 * The files of the journal: those in use, those prepared ahead, and those to be used again. A segment is filled with
 * zeros, given a head with a salt of its own and synced, with its directory, before anything points to it.
 */
import { type Disk, type DiskFile, DiskFullError } from './disk.ts';
import { blockBytes, type SegmentPointer, segmentHead } from './header.ts';
import { JournalError } from './port.ts';
import { segmentName } from './scan.ts';

/** Zeros are written in slices, so that an append never waits long behind them. */
const sliceBytes = 1024 * 1024;
const zeros = new Uint8Array(sliceBytes);
/** The first segment is small, so that a new store is there at once; the others grow with what is in use. */
export const smallestSegment = (segmentBytes: number): number => Math.min(4 * 1024 * 1024, segmentBytes);
/** Released files beyond this many are removed. */
const freeMax = 2;

export interface Segment {
  readonly number: number;
  readonly salt: Uint8Array;
  readonly file: DiskFile;
  readonly bytes: number;
}

/** A segment in use. */
export interface UsedSegment extends Segment {
  /** Of its first batch. */
  readonly firstOrdinal: number;
  /** The first batch of records in it, or after it. */
  readonly firstSequence: number;
  /** CRC of the batch before that. */
  readonly chain: number;
  /** The last batch of records in it, or before it. */
  lastSequence: number;
  /** Behind its last batch. */
  block: number;
  /** Where its batches of records begin, in order. */
  readonly blocks: number[];
  /** Written to since its last sync. */
  dirty: boolean;
}

/** A segment in which the next batch is the first. */
export const startOf = (segment: Segment, firstOrdinal: number, firstSequence: number, chain: number): UsedSegment => ({
  ...segment,
  firstOrdinal,
  firstSequence,
  chain,
  lastSequence: firstSequence - 1,
  block: 1,
  blocks: [],
  dirty: false,
});

interface FreeFile {
  readonly number: number;
  readonly file: DiskFile;
  readonly bytes: number;
}

interface SegmentFilesOptions {
  readonly disk: Disk;
  readonly storeId: Uint8Array;
  /** Whether writes are durable when they return. */
  readonly synced: boolean;
  readonly newSalt: (segment: number) => Uint8Array;
}

export class SegmentFiles {
  readonly #options: SegmentFilesOptions;
  /** Prepared, by number, above the last one in use. Numbers may be left out: who is next is named, not counted. */
  readonly spares: Segment[] = [];
  /** Released; to be used again. */
  readonly #free: FreeFile[] = [];
  #top: number;
  #preparing: Promise<boolean> | undefined;
  #closed = false;

  constructor(options: SegmentFilesOptions, top: number) {
    this.#options = options;
    this.#top = top;
  }

  /** Fills a file with zeros behind `fromByte`, gives it a head, and syncs it. */
  async clear(file: DiskFile, { number, salt, bytes }: Omit<Segment, 'file'>, fromByte = blockBytes): Promise<Segment> {
    for (let at = fromByte; at < bytes; at += sliceBytes) {
      if (this.#closed) throw new Error('the journal is closed');
      await file.write([zeros.subarray(0, Math.min(sliceBytes, bytes - at))], at);
    }
    await file.write([segmentHead({ storeId: this.#options.storeId, segment: number, salt })], 0);
    await file.sync();
    return { number, salt, file, bytes };
  }

  /** Bytes of files that are not in use. */
  get readyBytes(): number {
    return [...this.spares, ...this.#free].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Makes the next segment ready, of a released file or a new one, or waits for what is under way; false when the disk has no room for it. */
  prepare(bytes: number): Promise<boolean> {
    this.#preparing ??= this.#prepare(bytes).finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  async #prepare(bytes: number): Promise<boolean> {
    const { disk, synced, newSalt } = this.#options;
    const number = this.#top + 1;
    const name = segmentName(number);
    const old = this.#free.shift();
    // Asked before anything is written, so that a disk that is nearly full is not filled, and emptied, again and again. As
    // much is left to the book: it must have what ended in a segment before that can be released.
    const more = bytes - (old?.bytes ?? 0);
    if (more > 0 && (await disk.free()) < more + bytes) {
      if (old !== undefined) this.#free.unshift(old);
      return false;
    }
    let file: DiskFile | undefined;
    try {
      if (old !== undefined) await disk.rename(segmentName(old.number), name);
      file = old?.file ?? (await disk.open(name, { create: true, synced }));
      const segment = await this.clear(file, {
        number,
        salt: newSalt(number),
        bytes: Math.max(bytes, old?.bytes ?? 0),
      });
      await disk.sync();
      this.#top = number;
      this.spares.push(segment);
      return true;
    } catch (error) {
      if (old !== undefined) this.#free.unshift(file === undefined ? old : { ...old, number });
      else if (file !== undefined) {
        await file.close();
        await disk.remove(name);
      }
      if (error instanceof DiskFullError) return false;
      throw error;
    }
  }

  /** Takes a file that nothing needs any more: to be used again, or removed. */
  async release({ number, file, bytes }: FreeFile): Promise<void> {
    if (this.#free.length < freeMax) {
      this.#free.push({ number, file, bytes });
      return;
    }
    await file.close();
    await this.#options.disk.remove(segmentName(number));
  }

  /** Removes the released files, and the prepared ones that are of no use. */
  async drop(isUseless: (spare: Segment) => boolean): Promise<void> {
    // A file that could not be prepared may have the name that the next one gets: one after the other.
    while (this.#preparing !== undefined) await this.#preparing.catch(() => {});
    this.#preparing = this.#drop(isUseless).finally(() => {
      this.#preparing = undefined;
    });
    await this.#preparing;
  }

  async #drop(isUseless: (spare: Segment) => boolean): Promise<boolean> {
    const useless = this.spares.filter(isUseless);
    for (const spare of useless) this.spares.splice(this.spares.indexOf(spare), 1);
    const files: FreeFile[] = [...this.#free.splice(0), ...useless];
    for (const { number, file } of files) {
      await file.close();
      await this.#options.disk.remove(segmentName(number));
    }
    if (files.length > 0) await this.#options.disk.sync();
    return true;
  }

  /** The next prepared segment, or undefined when there is none and none of so many bytes can be had. */
  async next(bytes: number): Promise<Segment | undefined> {
    // What is under way may be for less; then there is one, and room for the next is looked for again. Or it makes none.
    while (this.spares.length === 0) if (!(await this.prepare(bytes))) return undefined;
    return this.spares.shift();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#preparing?.catch(() => {});
    for (const { file } of [...this.spares, ...this.#free]) await file.close();
  }
}

/**
 * The floor that lets go of every segment whose batches are all before `needed`; undefined when there is none. Never the
 * head, where this floor stands: its salt is to be read elsewhere, too, when the head's own is damaged.
 */
export function floorAt(used: readonly UsedSegment[], needed: number): SegmentPointer | undefined {
  const closed = used.slice(0, -1);
  const lowest = closed.find(({ lastSequence }) => lastSequence >= needed) ?? closed.at(-1);
  if (lowest === undefined || lowest === used[0]) return undefined;
  const { number: segment, salt, firstOrdinal: ordinal, chain } = lowest;
  return { segment, salt, ordinal, chain };
}

/** Why nothing may be answered any more: the file of one of them is not where the next start looks for it. */
export function removal(segments: readonly Segment[]): JournalError | undefined {
  for (const { number, file } of segments) {
    const name = segmentName(number);
    const how = file.at(name);
    if (how !== 'there')
      return new JournalError(`journal_${how}`, `Segment ${name} of the journal was ${how} while it was open.`);
  }
  return undefined;
}
