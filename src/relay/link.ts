/**
 * The outbound end of a session: collects what leaves during one loop pass and hands it to the stream in one write.
 * Small pieces are copied together. Large ones travel as views of the chunk they came in, but only while they are
 * written: what stays behind is copied out of a larger chunk, so that the bytes counted are the bytes kept.
 */
import type { Duplex } from 'node:stream';
import type { Outbound } from './peer.ts';

const copyBelow = 2048;
const stagingBytes = 32 * 1024;
/** A write counts as queued until all of it has left, so it must stay small beside the outbound limit. */
const writeBytesMax = 512 * 1024;
/** A view may keep a chunk of so many times its size while it is written. */
const pinFactor = 4;

interface LinkHooks {
  /** There is something to flush, where there was nothing. */
  readonly dirty: (link: Link) => void;
  /** Bytes have left. */
  readonly taken: () => void;
  readonly nowMs: () => number;
}

export class Link implements Outbound {
  takenAtMs = Number.NEGATIVE_INFINITY;
  /** Writes that reached the stream, for the test that counts them. */
  writes = 0;
  readonly #stream: Duplex;
  readonly #hooks: LinkHooks;
  #parts: Buffer[] = [];
  #staging: Buffer | undefined;
  #stagedFrom = 0;
  #stagedTo = 0;
  #bytes = 0;
  #inFlight = 0;
  #isDirty = false;

  constructor(stream: Duplex, hooks: LinkHooks) {
    this.#stream = stream;
    this.#hooks = hooks;
  }

  get queuedBytes(): number {
    return this.#bytes + this.#inFlight;
  }

  /** Adds `bytes[start, end)` to what leaves at the end of this pass. The bytes must not change until then. */
  push(bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    this.#bytes += size;
    if (!this.#isDirty) {
      this.#isDirty = true;
      this.#hooks.dirty(this);
    }
    if (size >= copyBelow && size * pinFactor >= bytes.buffer.byteLength) {
      this.#seal();
      this.#parts.push(bytes.subarray(start, end));
      return;
    }
    if (size > stagingBytes / 2) {
      this.#seal();
      this.#parts.push(copyOf(bytes.subarray(start, end)));
      return;
    }
    if (this.#staging === undefined || this.#staging.length - this.#stagedTo < size) {
      this.#seal();
      this.#staging = Buffer.allocUnsafeSlow(stagingBytes);
      this.#stagedFrom = 0;
      this.#stagedTo = 0;
    }
    bytes.copy(this.#staging, this.#stagedTo, start, end);
    this.#stagedTo += size;
  }

  send(frame: Buffer): void {
    this.push(frame, 0, frame.length);
  }

  /** At most one write a pass, and one on its way at a time; the rest follows when that has been taken. */
  flush(): void {
    this.#isDirty = false;
    if (this.#inFlight === 0) this.#write(writeBytesMax);
    if (this.#parts.length > 0) this.#unpin();
  }

  /** Hands everything to the stream, whatever is on its way: the last thing before the stream is ended. */
  finish(): void {
    this.#write(Number.POSITIVE_INFINITY);
  }

  #write(most: number): void {
    this.#seal();
    if (this.#parts.length === 0) return;
    const parts = this.#popParts(most);
    const before = this.#inFlight;
    for (const part of parts) this.#inFlight += part.length;
    this.#bytes -= this.#inFlight - before;
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    this.writes++;
    const last = parts.length - 1;
    if (last > 0) this.#stream.cork();
    for (let at = 0; at < last; at++) this.#stream.write(parts[at]);
    this.#stream.write(parts[last], this.#taken);
    if (last > 0) this.#stream.uncork();
  }

  #popParts(most: number): Buffer[] {
    let size = 0;
    let count = 0;
    while (count < this.#parts.length && size < most) size += this.#parts[count++]!.length;
    if (count === this.#parts.length) {
      const all = this.#parts;
      this.#parts = [];
      return all;
    }
    return this.#parts.splice(0, count);
  }

  /** Copies what stays behind out of the larger chunks it is a view of. */
  #unpin(): void {
    for (const [at, part] of this.#parts.entries())
      if (part.buffer.byteLength > part.length + stagingBytes) this.#parts[at] = copyOf(part);
  }

  /** The write that was on its way has left. One function for the life of the link, not one per write. */
  readonly #taken = (): void => {
    this.#inFlight = 0;
    this.takenAtMs = this.#hooks.nowMs();
    this.#write(writeBytesMax);
    this.#hooks.taken();
  };

  /** The staged bytes become a part; the rest of the staging buffer goes on being used. */
  #seal(): void {
    if (this.#staging === undefined || this.#stagedTo === this.#stagedFrom) return;
    this.#parts.push(this.#staging.subarray(this.#stagedFrom, this.#stagedTo));
    this.#stagedFrom = this.#stagedTo;
  }
}

function copyOf(part: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(part.length);
  part.copy(copy);
  return copy;
}
