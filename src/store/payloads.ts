/**
 * Payloads of living tasks: in memory up to a limit, beyond it only where the journal has them. Each has a checksum, since
 * the segment that holds it was checked long before it is read again.
 */
import { crc32 } from 'node:zlib';
import { absentBody, isAbsent, present } from '../core/body.ts';
import type { TaskSpec } from '../core/task.ts';
import type { Journal } from '../journal/port.ts';

/** Where the bytes stand: in the body of a batch. */
export interface Place {
  readonly batch: number;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

/** A payload that stands at the end of a record, which ends at `end` of the body of a batch. */
export const placeOf = (payload: Uint8Array, batch: number, end: number): Place => ({
  batch,
  offset: end - payload.length,
  length: payload.length,
  crc: crc32(payload),
});

/** In the place of a payload that cannot be read any more: no bytes, as where they were deleted. */
export const lostPayload = new Uint8Array(0);

export class Payloads {
  readonly #bytesMax: number;
  #bytes = 0;
  /** Of payloads that are not in memory, by the `seq` of their task. */
  readonly #places = new Map<number, Place>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether a payload of so many bytes may stay in memory. */
  fits(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax;
  }

  get bytesInMemory(): number {
    return this.#bytes;
  }

  get countOnDisk(): number {
    return this.#places.size;
  }

  place(seq: number): Place | undefined {
    return this.#places.get(seq);
  }

  /** A task lives from now on, with its payload in memory or at a place. */
  add(seq: number, { payload }: TaskSpec, place: Place | undefined): void {
    if (place === undefined) this.#bytes += payload.length;
    else this.#places.set(seq, place);
  }

  /** Its payload stands somewhere else now. */
  move(seq: number, place: Place): void {
    this.#places.set(seq, place);
  }

  /** The payload is safe at this place, and leaves memory when there is too much in it. */
  settle(seq: number, spec: TaskSpec, place: Place): void {
    if (this.#bytes <= this.#bytesMax || isAbsent(spec.payload)) return;
    this.#bytes -= spec.payload.length;
    spec.payload = absentBody(spec.payload.length);
    this.#places.set(seq, place);
  }

  /** A task lives no more; answers where its payload is, if it is not in memory. */
  remove(seq: number, { payload }: TaskSpec): Place | undefined {
    const place = this.#places.get(seq);
    this.#places.delete(seq);
    if (place === undefined) this.#bytes -= present(payload).length;
    return place;
  }
}

/** Reads the payload of a task back; undefined when it is not what was written, which is said then. */
export type ReadBody = (id: string, place: Place) => Promise<Uint8Array | undefined>;

/** The bytes at a place, or undefined when they are not what was written. */
export async function readBody(journal: Journal, place: Place): Promise<Uint8Array | undefined> {
  const bytes = await journal.readAt(place.batch, place.offset, place.length);
  return crc32(bytes) === place.crc ? bytes : undefined;
}
