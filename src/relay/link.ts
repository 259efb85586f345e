/**
 * The outbound end of a session: collects what leaves during one loop pass and hands it to the stream in one write.
 * Small pieces are copied together; large ones travel as views of the chunk they came in.
 */
import type { Duplex } from 'node:stream';

const copyBelow = 2048;
const stagingBytes = 32 * 1024;

export class Link {
  readonly #stream: Duplex;
  readonly #becameDirty: (link: Link) => void;
  #parts: Buffer[] = [];
  #staging: Buffer | undefined;
  #stagedFrom = 0;
  #stagedTo = 0;
  #bytes = 0;
  #isDirty = false;
  readonly #written: () => void;
  /** Writes that reached the stream, for the test that counts them. */
  writes = 0;

  /** `becameDirty` is told when there is something to flush again; `written` is called as bytes leave. */
  constructor(stream: Duplex, becameDirty: (link: Link) => void, written: () => void) {
    this.#stream = stream;
    this.#becameDirty = becameDirty;
    this.#written = written;
  }

  /** Bytes pushed that the kernel has not taken yet. */
  get queuedBytes(): number {
    return this.#bytes + this.#stream.writableLength;
  }

  /** Adds `bytes[start, end)` to what leaves at the end of this pass. The bytes must not change until then. */
  push(bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    this.#bytes += size;
    if (!this.#isDirty) {
      this.#isDirty = true;
      this.#becameDirty(this);
    }
    if (size >= copyBelow) {
      this.#seal();
      this.#parts.push(bytes.subarray(start, end));
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

  /** One write for everything pushed since the last flush. */
  flush(): void {
    this.#isDirty = false;
    this.#seal();
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#bytes = 0;
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    this.writes++;
    if (parts.length === 1) {
      this.#stream.write(parts[0], this.#written);
      return;
    }
    this.#stream.cork();
    const last = parts.length - 1;
    for (let at = 0; at < last; at++) this.#stream.write(parts[at]);
    this.#stream.write(parts[last], this.#written);
    this.#stream.uncork();
  }

  /** The staged bytes become a part; the rest of the staging buffer goes on being used. */
  #seal(): void {
    if (this.#staging === undefined || this.#stagedTo === this.#stagedFrom) return;
    this.#parts.push(this.#staging.subarray(this.#stagedFrom, this.#stagedTo));
    this.#stagedFrom = this.#stagedTo;
  }
}
