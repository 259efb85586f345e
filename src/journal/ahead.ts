/**
 * Room for what comes next. Two segments are kept ready behind the head, so that only preparing one ever meets a full disk,
 * and what was accepted can be ended on it; none while the first segment is young, so that a store that is hardly used
 * stays small. Segments grow with what is in use.
 */
import { blockBytes, blocksOf, headerBytes } from './header.ts';
import { type Segment, type SegmentFiles, smallestSegment, type UsedSegment } from './segments.ts';

const sparesMin = 2;

/** The largest body of a batch behind so many blocks of a segment, which its closing batch must still fit. */
export const bodyRoom = (segmentBytes: number, block: number): number =>
  (segmentBytes / blockBytes - block - 1) * blockBytes - headerBytes;

export class Ahead {
  readonly #files: SegmentFiles;
  readonly #used: readonly UsedSegment[];
  readonly #segmentBytes: number;
  #keeping: Promise<void> | undefined;
  #full = false;

  /** @param segmentBytes of the largest segment. */
  constructor(files: SegmentFiles, used: readonly UsedSegment[], segmentBytes: number) {
    this.#files = files;
    this.#used = used;
    this.#segmentBytes = segmentBytes;
  }

  /** Whether the disk had no room for what is to be kept ready. */
  get full(): boolean {
    return this.#full;
  }

  /** As the journal's port says. */
  roomAfter(inFlight: number): number {
    const { spares } = this.#files;
    const head = this.#used.at(-1)!;
    let room = bodyRoom(head.bytes, head.block);
    let at = 0;
    if (inFlight > 0) {
      while (room < inFlight && at < spares.length) room = bodyRoom(spares[at++]!.bytes, 1);
      room -= blocksOf(inFlight) * blockBytes;
    }
    return spares.slice(at).reduce((most, { bytes }) => Math.max(most, bodyRoom(bytes, 1)), room);
  }

  /** A segment in which a batch of so many blocks fits; undefined on a full disk. */
  async next(blocks: number) {
    const segment = await this.#files.next(Math.max(this.#nextBytes, (blocks + 2) * blockBytes));
    if (segment === undefined) this.#full = true;
    return segment;
  }

  async makeRoom(bodyBytes: number): Promise<void> {
    while (this.roomAfter(0) < bodyBytes) if (!(await this.#prepare((blocksOf(bodyBytes) + 2) * blockBytes))) return;
    await this.keep();
  }

  /** Makes ready what is to be kept ready, as far as the disk lets it. */
  keep(): Promise<void> {
    if (!this.#lacks) this.#full = false;
    else this.#keeping ??= this.#keep().finally(() => (this.#keeping = undefined));
    return this.#keeping ?? Promise.resolve();
  }

  /** As the journal's port says. The smaller ones are ready before the last of the larger ones goes. */
  async trim(most = this.#nextBytes): Promise<void> {
    await this.#files.drop(() => false); // else the first ones would be made of what was released
    const bytes = this.segmentFor(most);
    const isTooLarge = (spare: Segment): boolean => spare.bytes > bytes;
    const lacks = (): boolean => this.#files.spares.filter((spare) => !isTooLarge(spare)).length < this.#sparesWanted;
    // What is released meanwhile is large, too.
    for (let tries = 2 * sparesMin; lacks(); tries--) {
      if (tries === 0 || this.#files.isClosed) return;
      if (await this.#files.prepare(bytes)) continue;
      const [large, ...more] = this.#files.spares.filter(isTooLarge);
      if (more.length === 0) return;
      await this.#files.drop((spare) => spare === large);
    }
    await this.#files.drop(isTooLarge);
    await this.keep();
  }

  async #keep(): Promise<void> {
    while (this.#lacks && !this.#files.isClosed) if (!(await this.#prepare(this.#nextBytes))) return;
    this.#full = false;
  }

  async #prepare(bytes: number): Promise<boolean> {
    const isReady = await this.#files.prepare(bytes);
    if (!isReady) this.#full = true;
    return isReady;
  }

  get #lacks(): boolean {
    return this.#files.spares.length < this.#sparesWanted;
  }

  get #sparesWanted(): number {
    const first = this.#used[0]!;
    const isYoung = this.#used.length === 1 && first.block * blockBytes * 2 < first.bytes;
    return isYoung ? 0 : sparesMin;
  }

  get #nextBytes(): number {
    const inUse = this.#used.reduce((sum, { bytes }) => sum + bytes, 0);
    return this.segmentFor(inUse);
  }

  /** As the journal's port says; in whole blocks. */
  segmentFor(bytes: number): number {
    const whole = Math.ceil(bytes / blockBytes) * blockBytes;
    return Math.min(this.#segmentBytes, Math.max(smallestSegment(this.#segmentBytes), whole));
  }
}
