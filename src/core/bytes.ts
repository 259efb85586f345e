/**
 * Bytes that are written and read one value after the other. Numbers are unsigned and of variable length (seven bits a
 * byte, the lowest first, as in Protocol Buffers); texts and bodies have their length in front, and bodies a checksum,
 * since they are read again by themselves.
 */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';

/** Bytes that grow as they are written. */
export class Writer {
  #bytes: Buffer<ArrayBuffer>;
  #at = 0;

  constructor(bytes = 64 * 1024) {
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  get length(): number {
    return this.#at;
  }

  /** What was written so far; valid until it is cleared or written to again. No Buffer, whose `slice` would not copy. */
  get written(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#at);
  }

  clear(): void {
    this.#at = 0;
  }

  /** Takes back what was written behind the first `length` bytes. */
  truncate(length: number): void {
    assert(length <= this.#at, `${length} of ${this.#at} bytes`);
    this.#at = length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `${value} is no unsigned integer`);
    this.#reserve(8);
    let left = value;
    for (; left > 0x7f; left = Math.floor(left / 128)) this.#bytes[this.#at++] = (left % 128) | 0x80;
    this.#bytes[this.#at++] = left;
  }

  text(value: string): void {
    // A character of UTF-16 takes three bytes at most, so the length of a short text fits one byte.
    if (value.length > 42) this.number(Buffer.byteLength(value));
    const room = value.length * 3;
    this.#reserve(room + 1);
    const at = value.length > 42 ? this.#at : this.#at + 1;
    const length = this.#bytes.utf8Write(value, at, room);
    if (at > this.#at) this.#bytes[this.#at] = length;
    this.#at = at + length;
  }

  /** The length, the CRC-32 (four bytes, big-endian), the bytes. */
  body(value: Uint8Array): void {
    this.number(value.length);
    this.#reserve(4 + value.length);
    this.#bytes.writeUInt32BE(crc32(value), this.#at);
    this.#bytes.set(value, this.#at + 4);
    this.#at += 4 + value.length;
  }

  /** Four bytes for the length of what is written from here to `endLength`. */
  beginLength(): number {
    this.#reserve(4);
    this.#at += 4;
    return this.#at;
  }

  endLength(at: number): void {
    this.#bytes.writeUInt32BE(this.#at - at, at - 4);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const more = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes));
    more.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = more;
  }
}

export class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    if (this.done) throw new RangeError('the bytes end too early');
    return this.#bytes[this.#at++]!;
  }

  number(): number {
    const first = this.#bytes[this.#at]!;
    if (first < 0x80) {
      this.#at++;
      return first;
    }
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      if (scale > 2 ** 46) throw new RangeError('a number has too many bytes');
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a number is too large');
    return value;
  }

  /** Four bytes, big-endian. */
  length32(): number {
    const at = this.#endOf(4) - 4;
    this.#at += 4;
    return this.#bytes.readUInt32BE(at);
  }

  /** @param like is answered when it is the same text, so that equal texts share their memory. */
  text(like = ''): string {
    const end = this.#endOf(this.number());
    const text = this.#isAt(like, end) ? like : this.#bytes.utf8Slice(this.#at, end);
    this.#at = end;
    return text;
  }

  /** A view of the bytes that are read. Throws a RangeError when they do not have their CRC-32. */
  body(): Uint8Array {
    const length = this.number();
    const crc = this.length32();
    const end = this.#endOf(length);
    const bytes = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, length);
    if (crc32(bytes) !== crc) throw new RangeError('a body is damaged');
    this.#at = end;
    return bytes;
  }

  /** Of text that has other characters than those of ASCII it says no. */
  #isAt(text: string, end: number): boolean {
    if (text.length !== end - this.#at) return false;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f || code !== this.#bytes[this.#at + i]) return false;
    }
    return true;
  }

  #endOf(length: number): number {
    if (length > this.#bytes.length - this.#at) throw new RangeError('the bytes end too early');
    return this.#at + length;
  }
}
