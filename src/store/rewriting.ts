/**
 * Writing again what lives in the oldest segment, so that it can be let go. A payload that is not in memory is read before,
 * while others commit; it counts only if it is still the one when its record is written.
 */
import { isAbsent } from '../core/body.ts';
import type { Writer } from '../core/bytes.ts';
import type { JournalRecord } from '../core/record.ts';
import { writeRecord } from '../core/record-bytes.ts';
import { bytesOf, exactly } from '../core/record-size.ts';
import type { LiveState } from './live-state.ts';
import type { LivingKey } from './living.ts';
import type { Payloads, Place, ReadBody } from './payloads.ts';

/** Bytes of payloads that are read ahead. */
const aheadBytes = 1024 * 1024;

interface Bounds {
  /** The last batch of the oldest segment. */
  readonly upTo: number;
  /** Nothing more is written again once the body has so many bytes. */
  readonly most: number;
  /** The body may not have more. */
  readonly room: number;
}

export class Rewriting {
  readonly #live: LiveState;
  readonly #payloads: Payloads;
  readonly #read: ReadBody;
  readonly #failed: (error: Error) => void;
  #ahead = new Map<Place, Uint8Array>();
  #reading: Promise<void> | undefined;

  /** @param failed gets why a payload cannot be read, but for one that is damaged. */
  constructor(live: LiveState, payloads: Payloads, read: ReadBody, failed: (error: Error) => void) {
    this.#live = live;
    this.#payloads = payloads;
    this.#read = read;
    this.#failed = failed;
  }

  /** Resolves when what is read ahead now is read; undefined when nothing is. */
  get reading(): Promise<void> | undefined {
    return this.#reading;
  }

  /** Adds full records to the body of this batch; answers how many. */
  write(writer: Writer, batch: number, { upTo, most, room }: Bounds): number {
    for (let count = 0; ; count++) {
      const { oldest } = this.#live;
      if (oldest === undefined || oldest.batch > upTo || writer.length >= most) return count;
      const record = this.#whole(oldest.key);
      if (record === undefined)
        this.#reading ??= this.#readAhead(upTo)
          .catch(this.#failed)
          .finally(() => (this.#reading = undefined));
      if (record === undefined || !fits(record, room - writer.length)) return count;
      writeRecord(writer, record);
      const payload = record.kind === 'task' && !isAbsent(record.spec.payload) ? record.spec.payload : undefined;
      this.#live.rewritten(oldest.key, { batch, end: writer.length }, payload);
    }
  }

  /** Undefined when its payload must be read first. */
  #whole(key: LivingKey): JournalRecord | undefined {
    const record = this.#live.fullRecord(key);
    if (record.kind !== 'task' || !isAbsent(record.spec.payload)) return record;
    const place = this.#payloads.place(record.seq)!;
    const payload = this.#ahead.get(place);
    if (payload === undefined) return undefined;
    this.#ahead.delete(place);
    return { ...record, spec: { ...record.spec, payload } };
  }

  async #readAhead(upTo: number): Promise<void> {
    const wanted: { readonly seq: number; readonly id: string; readonly place: Place }[] = [];
    let bytes = 0;
    for (const key of this.#live.upTo(upTo)) {
      const record = this.#live.fullRecord(key);
      if (record.kind !== 'task' || !isAbsent(record.spec.payload)) continue;
      const place = this.#payloads.place(record.seq)!;
      wanted.push({ seq: record.seq, id: record.spec.id, place });
      bytes += place.length;
      if (bytes > aheadBytes) break;
    }
    const ahead = new Map<Place, Uint8Array>();
    for (const { seq, id, place } of wanted) {
      if (this.#payloads.place(seq) !== place) continue; // it has ended meanwhile, and its segment may be gone
      const payload = this.#ahead.get(place) ?? (await this.#read(id, place));
      if (payload !== undefined) ahead.set(place, payload);
    }
    this.#ahead = ahead;
  }
}

/** Texts are looked at only when it matters. */
const fits = (record: JournalRecord, bytes: number): boolean =>
  bytesOf(record) <= bytes || bytesOf(record, exactly) <= bytes;
