/** The journal in files: one append at a time at the head, segments released at the tail. */
import assert from 'node:assert/strict';
import { Ahead, bodyRoom } from './ahead.ts';
import { type BatchKind, blockBytes, blocksOf, headerBytes, type SegmentPointer, writeHeader } from './header.ts';
import type { FileJournalOptions, Opened } from './open.ts';
import {
  type Appended,
  type Journal,
  JournalError,
  type JournalSpace,
  type Position,
  type StoredBatch,
} from './port.ts';
import { readAt, readFrom } from './read.ts';
import { floorAt, removal, type Segment, type SegmentFiles, startOf, type UsedSegment } from './segments.ts';

const bodyBytesMax = 32 * 1024 * 1024;
const padding = new Uint8Array(blockBytes);

export class FileJournal implements Journal {
  readonly storeId: string;
  readonly epoch: number;
  readonly bodyBytesMax: number;
  readonly #options: FileJournalOptions;
  readonly #files: SegmentFiles;
  readonly #id: Uint8Array;
  readonly #ahead: Ahead;
  readonly #used: UsedSegment[];
  readonly holds = new Map<string, number>();
  readonly #header = new Uint8Array(headerBytes);
  #ordinal: number;
  #sequence: number;
  #crc: number;
  #recordsCrc: number;
  /** The highest ordinal, and the position of records, that are known to be synced. */
  #syncedOrdinal: number;
  #synced: Position;
  /** Stated in a batch, obeyed when that is synced. */
  #floor: SegmentPointer | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  #timer = false;
  #sealed = false;
  #failure: JournalError | undefined;
  #closed = false;

  constructor(opened: Opened, options: FileJournalOptions) {
    this.#options = options;
    this.#files = opened.files;
    this.#id = opened.storeId;
    this.storeId = Buffer.from(opened.storeId).toString('hex');
    this.#used = [...opened.used];
    this.epoch = opened.epoch;
    this.#ahead = new Ahead(this.#files, this.#used, opened.segmentBytes);
    this.bodyBytesMax = Math.min(bodyBytesMax, bodyRoom(opened.segmentBytes, 1));
    ({ ordinal: this.#ordinal, sequence: this.#sequence, crc: this.#crc, recordsCrc: this.#recordsCrc } = opened);
    this.#syncedOrdinal = this.#ordinal;
    this.#synced = { sequence: this.#sequence, crc: this.#recordsCrc };
  }

  /** Puts the new epoch on the disk. Call once, before anything else. */
  async begin(): Promise<void> {
    await this.#exclusively(async () => {
      if (!(await this.#room(1)))
        throw new JournalError(
          'journal_full',
          'There is no space for the journal to begin a new epoch. Make room, and start again.',
        );
      await this.#put('seal', [], 0, undefined);
      await this.#syncAll();
    });
  }

  get last(): Position {
    return { sequence: this.#sequence, crc: this.#recordsCrc };
  }

  get synced(): Position {
    return this.#synced;
  }

  get first(): number {
    return this.#used[0]!.firstSequence;
  }

  get space(): JournalSpace {
    const usedBytes = this.#used.reduce((sum, { bytes }) => sum + bytes, 0);
    const olderLast = this.#used.at(-2)?.lastSequence ?? 0;
    const oldestLast = this.#used.length > 2 ? this.#used[0]!.lastSequence : 0;
    const { readyBytes } = this.#files;
    return { usedBytes, readyBytes, segments: this.#used.length, oldestLast, olderLast, full: this.#ahead.full };
  }

  roomAfter(ahead: number): number {
    return this.#ahead.roomAfter(ahead);
  }

  async makeRoom(bodyBytes: number): Promise<void> {
    await this.#orFail(this.#ahead.makeRoom(bodyBytes));
  }

  readonly turn: Journal['turn'] = () => this.#exclusively(async () => !this.#closed && (await this.#next(1)));

  readonly segmentFor: Journal['segmentFor'] = (bytes) => this.#ahead.segmentFor(bytes);

  readonly trim: Journal['trim'] = (bytes) => this.#orFail(this.#ahead.trim(bytes));

  async check(): Promise<void> {
    if (this.#closed) return;
    this.#refuseGone([...this.#used, ...this.#files.spares]);
    if (this.#ahead.full) await this.#orFail(this.#ahead.keep());
  }

  async append(parts: readonly Uint8Array[], records: number, expectedSequence: number): Promise<Appended> {
    return this.#exclusively(async () => {
      const bodyBytes = parts.reduce((sum, { length }) => sum + length, 0);
      assert(bodyBytes <= this.bodyBytesMax, `a batch of ${bodyBytes} bytes`);
      if (this.#closed || expectedSequence !== this.#sequence + 1) return 'refused';
      if (!(await this.#room(blocksOf(bodyBytes)))) return 'full';
      await this.#put('records', parts, records, this.#nextFloor());
      this.#refuseGone([this.#head]);
      this.#arm();
      return 'committed';
    });
  }

  hold(name: string, sequence: number | undefined): void {
    if (sequence === undefined) this.holds.delete(name);
    else this.holds.set(name, sequence);
  }

  readonly sync: Journal['sync'] = () => this.#exclusively(() => this.#syncAll());

  read(from: number): AsyncIterable<StoredBatch> {
    return readFrom(this.#used, this.#id, from, this.#synced.sequence);
  }

  readonly readAt: Journal['readAt'] = (...place) => readAt(this.#used, ...place);

  async close(): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#closed) return;
      try {
        if (this.#failure === undefined) await this.#seal();
      } finally {
        this.#closed = true;
        await Promise.all([this.#files.close(), ...this.#used.map(({ file }) => file.close())]);
      }
    }, true);
  }

  #refuseGone(segments: readonly Segment[]): void {
    this.#failure ??= removal(segments);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs `work` after what is under way. What the disk throws ends the journal. */
  #exclusively<T>(work: () => Promise<T>, evenFailed = false): Promise<T> {
    const done = this.#busy.then(async () => {
      if (this.#failure !== undefined && !evenFailed) throw this.#failure;
      try {
        return await work();
      } catch (error) {
        throw this.#fail(error as Error);
      }
    });
    this.#busy = done.catch(() => {});
    return done;
  }

  #fail(error: Error): JournalError {
    if (error instanceof JournalError) return error;
    // What was done to a file that is gone fails, too: that it is gone says more.
    this.#failure ??= removal([...this.#used, ...this.#files.spares]);
    this.#failure ??= new JournalError('journal_failed', `The disk failed: ${error.message}`, { cause: error });
    return this.#failure;
  }

  /** Makes room for so many blocks at the head, in the next segment if need be. False on a full disk. */
  async #room(blocks: number): Promise<boolean> {
    for (let head = this.#head; (head.block + blocks + 1) * blockBytes > head.bytes; head = this.#head)
      if (!(await this.#next(blocks))) return false;
    this.#orFail(this.#ahead.keep()).catch(this.#options.failed);
    return true;
  }

  /** Closes the head; the next one has room for so many blocks. False on a full disk. */
  async #next(blocks: number): Promise<boolean> {
    const next = await this.#ahead.next(blocks);
    if (next === undefined) return false;
    const { number: segment, salt } = next;
    await this.#put('close', [], 0, { segment, salt, ordinal: this.#ordinal + 2, chain: 0 });
    this.#used.push(startOf(next, this.#ordinal + 1, this.#sequence + 1, this.#crc));
    return true;
  }

  get #head(): UsedSegment {
    return this.#used.at(-1)!;
  }

  /** What the disk throws beside the appends ends the journal, too. */
  async #orFail(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!this.#files.isClosed) throw this.#fail(error as Error);
    }
  }

  async #put(kind: BatchKind, parts: readonly Uint8Array[], records: number, pointer: SegmentPointer | undefined) {
    const head = this.#used.at(-1)!;
    const bodyBytes = parts.reduce((sum, { length }) => sum + length, 0);
    const [ordinal, sequence] = [this.#ordinal + 1, this.#sequence + (kind === 'records' ? 1 : 0)];
    const crc = writeHeader(
      this.#header,
      head.salt,
      this.#id,
      {
        kind,
        epoch: this.epoch,
        ordinal,
        sequence,
        synced: this.#syncedOrdinal,
        chain: this.#crc,
        recordsChain: this.#recordsCrc,
        records,
        bodyBytes,
        pointer,
        writtenAtMs: this.#options.wallMs(),
      },
      parts,
    );
    const blocks = blocksOf(bodyBytes);
    const tail = padding.subarray(0, blocks * blockBytes - headerBytes - bodyBytes);
    await head.file.write([this.#header, ...parts, tail], head.block * blockBytes);
    if (kind === 'records') head.blocks.push(head.block);
    head.block += blocks;
    [this.#ordinal, this.#sequence, this.#crc] = [ordinal, sequence, crc];
    if (kind === 'records') this.#recordsCrc = crc;
    head.lastSequence = sequence;
    head.dirty = this.#options.sync !== 'batch';
    this.#sealed = kind === 'seal';
    if (kind !== 'close') this.#floor = pointer ?? this.#floor;
    if (!head.dirty) await this.#settled(ordinal, { sequence, crc: this.#recordsCrc });
  }

  /** Everything up to here is synced. */
  async #settled(ordinal: number, synced: Position): Promise<void> {
    this.#syncedOrdinal = ordinal;
    this.#synced = synced;
    this.#options.synced?.();
    const floor = this.#floor;
    this.#floor = undefined;
    while (floor !== undefined && this.#used[0]!.number < floor.segment) await this.#files.release(this.#used.shift()!);
  }

  /** The floor that the next batch states, when a segment can be released and no other floor is on its way. */
  #nextFloor(): SegmentPointer | undefined {
    if (this.#floor !== undefined) return undefined;
    return floorAt(this.#used, Math.min(this.#sequence + 1, ...this.holds.values()));
  }

  /** Seals, or syncs, a moment after the last append. */
  #arm(): void {
    if (this.#timer) return;
    this.#timer = true;
    const { sync, sealMs, later } = this.#options;
    const [at, ms] = [this.#ordinal, sync === 'batch' ? sealMs : sync];
    later(ms, () => {
      this.#timer = false;
      if (this.#closed || this.#failure !== undefined) return;
      const isIdle = this.#ordinal === at;
      this.#exclusively(() => (isIdle ? this.#seal() : this.#syncAll())).catch((error: JournalError) =>
        this.#options.failed(error),
      );
      if (!isIdle) this.#arm();
    });
  }

  /** An empty batch that says that everything before it is synced. */
  async #seal(): Promise<void> {
    await this.#syncAll();
    if (this.#sealed || !(await this.#room(1))) return;
    await this.#put('seal', [], 0, this.#nextFloor());
    await this.#syncAll();
  }

  /** Oldest first, so that what is synced is always a run from the beginning. */
  async #syncAll(): Promise<void> {
    const [ordinal, position] = [this.#ordinal, { sequence: this.#sequence, crc: this.#recordsCrc }];
    for (const segment of this.#used) {
      if (!segment.dirty) continue;
      await segment.file.sync();
      segment.dirty = false;
    }
    await this.#settled(ordinal, position);
  }
}
