/** Commits as batches of the journal, one after the other; with each, some of what lives is written again. */
import { Writer } from '../core/bytes.ts';
import type { JournalRecord } from '../core/record.ts';
import { writeRecord } from '../core/record-bytes.ts';
import { blockBytes, blocksOf } from '../journal/header.ts';
import type { Journal } from '../journal/port.ts';
import type { BookFeed } from './book-feed.ts';
import type { LiveState } from './live-state.ts';
import { type Room, StoreError } from './port.ts';
import type { Rewriting } from './rewriting.ts';
import type { StoreSizes } from './sizes.ts';

/** What a batch may have beside the records that it was made for. */
const ownBytes = 64 * 1024;
const keptWriterBytes = 1024 * 1024;

interface BatchesParts {
  readonly journal: Journal;
  readonly live: LiveState;
  readonly feed: BookFeed;
  readonly rewriting: Rewriting;
  readonly sizes: StoreSizes;
}

/** What a batch writes again at least: what lives in batches up to `upTo`, until its body has `most` bytes. */
export interface Rewrite {
  readonly upTo: number;
  readonly most: number;
}

/** A batch whose records are folded, and that is not synced yet. */
interface Written {
  readonly sequence: number;
  readonly crc: number;
  readonly entered: ReturnType<BookFeed['cut']>;
}

export class Batches {
  readonly #parts: BatchesParts;
  /** For batches to come; each is in use from a commit's beginning to its end. */
  readonly #writers: Writer[] = [];
  readonly #unsynced: Written[] = [];
  #inFlightBytes = 0;
  #sequence: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: BatchesParts) {
    this.#parts = parts;
    this.#sequence = parts.journal.synced.sequence;
  }

  get room(): Room {
    const { feed, journal } = this.#parts;
    const most = journal.bodyBytesMax - ownBytes;
    if (feed.blocked) return { bytes: 0, most, full: true };
    return { bytes: this.#bodyRoom - ownBytes, most, full: journal.space.full || feed.full };
  }

  /** No commit is under way. */
  get isIdle(): boolean {
    return this.#inFlightBytes === 0;
  }

  makeRoom(bytes: number): Promise<void> {
    return this.#parts.journal.makeRoom(bytes + ownBytes);
  }

  /** Rejects with what the journal says, or a StoreError. */
  async append(records: readonly JournalRecord[], rewrite?: Rewrite): Promise<void> {
    const { live, feed, journal } = this.#parts;
    const sequence = ++this.#sequence;
    const writer = this.#writers.pop() ?? new Writer();
    let count = 0;
    const add = (record: JournalRecord): void => {
      count++;
      writeRecord(writer, record);
      live.fold(record, { batch: sequence, end: writer.length }, feed);
    };
    for (const record of live.missing()) add(record);
    for (const record of records) add(record);
    count += this.#rewrite(writer, sequence, rewrite);
    this.#inFlightBytes += writer.length;
    const entered = feed.cut(writer.length);
    const settle = live.cut();
    const needed = Math.min(live.oldest?.batch ?? sequence, feed.needed);
    const written = this.#writing.then(async () => {
      await this.#write(writer, count, sequence);
      // Not before: what this batch has written again must be in the journal when a floor lets go of what it replaces.
      journal.hold('store', needed);
      this.#unsynced.push({ sequence, crc: journal.last.crc, entered });
      this.synced();
      settle();
    });
    this.#writing = written.catch(() => {}); // thrown here:
    await written;
  }

  /** Resolves when what was appended until now is written, or is known not to be. */
  get written(): Promise<void> {
    return this.#writing;
  }

  /** The book gets what is synced. Call when the journal has synced more. */
  synced(): void {
    const { storeId, epoch, synced } = this.#parts.journal;
    while (this.#unsynced[0] !== undefined && this.#unsynced[0].sequence <= synced.sequence) {
      const { sequence, crc, entered } = this.#unsynced.shift()!;
      entered({ storeId, epoch, sequence, crc });
    }
  }

  /** Of the next batch. */
  get #bodyRoom(): number {
    const { journal } = this.#parts;
    return Math.min(journal.bodyBytesMax, journal.roomAfter(this.#inFlightBytes));
  }

  async #write(writer: Writer, records: number, sequence: number): Promise<void> {
    const { feed, journal } = this.#parts;
    await feed.room();
    const appended = await journal.append([writer.written], records, sequence);
    if (appended !== 'committed')
      throw new StoreError(appended === 'full' ? 'store_full' : 'store_failed', `The journal answered ${appended}.`);
    this.#inFlightBytes -= writer.length;
    if (writer.length <= keptWriterBytes) this.#writers.push(writer);
    writer.clear();
  }

  /** As many bytes again as the batch has, while the journal is too large; on a full disk space is had by this only. */
  #rewrite(writer: Writer, sequence: number, rewrite: Rewrite | undefined): number {
    const { journal, sizes, live, rewriting } = this.#parts;
    const { usedBytes, oldestLast, full } = journal.space;
    const room = this.#bodyRoom;
    if (rewrite !== undefined)
      return rewriting.write(writer, sequence, { upTo: rewrite.upTo, most: Math.min(room, rewrite.most), room });
    if (usedBytes <= Math.max(full ? 0 : sizes.idleBytes, 2 * live.bytes)) return 0;
    const most = Math.min(room, 2 * blocksOf(writer.length) * blockBytes);
    return rewriting.write(writer, sequence, { upTo: oldestLast, most, room });
  }
}
