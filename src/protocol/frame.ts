/**
 * Frames.
 *
 *      0        4    5    6
 *      ┌────────┬────┬────┬──────────────────────────────┐
 *      │ length │ 9x │ k  │ the rest of the array …      │      length: u32, big-endian, of what follows it
 *      └────────┴────┴────┴──────────────────────────────┘      9x: array of x elements, k: the kind
 *
 * Every frame is one MessagePack array of 2 to 8 elements whose first is the kind, so the kind is always byte 5.
 * Requests, replies, chunks and cancels carry an id of at least 65,536: every MessagePack library writes such a
 * number as 0xce and four bytes, so the id is always bytes 7 to 10 and the broker can rewrite it in place.
 */
import { type Fault, isFault } from './fault.ts';
import { encodeBody, encodeValue, MalformedError, skipValue } from './msgpack.ts';

export const Kind = {
  hello: 0,
  welcome: 1,
  publish: 2,
  publishConfirmed: 3,
  ack: 4,
  request: 5,
  reply: 6,
  chunk: 7,
  cancel: 8,
  ping: 9,
  pong: 10,
  goodbye: 11,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** One row per kind: the elements after the kind, which side may send it, and what it is for. Printed in deye-protocol(7). */
export const kindTable: Record<
  keyof typeof Kind,
  { readonly elements: string; readonly from: string; readonly summary: string }
> = {
  hello: {
    elements: 'info',
    from: 'client',
    summary: 'Opens a session. `info` is a map: protocol, name, version, role.',
  },
  welcome: {
    elements: 'info',
    from: 'broker',
    summary: 'Answers a hello. `info`: protocol, version, session, limits.',
  },
  publish: {
    elements: 'topic, body [, headers]',
    from: 'both',
    summary: 'Realtime: forwarded byte for byte; lost for a subscriber that is over its outbound limit.',
  },
  publishConfirmed: {
    elements: 'sequence, topic, body [, headers]',
    from: 'both',
    summary:
      'Confirmed: waits for slow subscribers and is answered by an ack. Subscribers get it as it came and ignore the sequence.',
  },
  ack: {
    elements: 'sequence, subscribers',
    from: 'broker',
    summary:
      'Cumulative: every publish after the previous ack up to `sequence` was handed to that many subscribers each.',
  },
  request: {
    elements: 'id, target, method, params [, timeout_ms]',
    from: 'both',
    summary:
      'A call. `target` is "broker", a collector id, or "any:" and an operation. `timeout_ms` 0 means the default.',
  },
  reply: {
    elements: 'id, status, body',
    from: 'both',
    summary: 'Ends a call. Status 0: `body` is the result. Status 1: `body` is a fault.',
  },
  chunk: {
    elements: 'id, body',
    from: 'both',
    summary: 'A part of a streamed reply; a reply with the same id ends the stream.',
  },
  cancel: { elements: 'id', from: 'both', summary: 'The caller no longer wants the answer. Passed on to the callee.' },
  ping: { elements: 'number', from: 'both', summary: 'Requests a pong with the same number.' },
  pong: { elements: 'number', from: 'both', summary: 'Answers a ping.' },
  goodbye: {
    elements: 'reason',
    from: 'both',
    summary: 'The last frame of a session; from the broker `reason` is a fault.',
  },
};

export const protocolVersion = '1.0';
export const requestIdMin = 65_536;
export const requestIdMax = 0xffff_ffff;
const idAt = 7;
const noBytes = Buffer.alloc(0);

/** Frame length prefix + the body. */
function framed(body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

/** A frame from its elements. Ids in it must already be ≥ 65,536. */
export function encodeFrame(elements: readonly unknown[]): Buffer {
  return framed(encodeValue(elements));
}

/** A frame whose last element is already encoded. */
export function encodeFrameWith(elements: readonly unknown[], last: Uint8Array): Buffer {
  const head = encodeValue(elements);
  const frame = Buffer.allocUnsafe(4 + head.length + last.length);
  frame.writeUInt32BE(head.length + last.length, 0);
  head.copy(frame, 4);
  frame[4] = frame[4]! + 1; // one element more; the arrays here are short, so the header is one byte
  frame.set(last, 4 + head.length);
  return frame;
}

export function encodePublish(topic: string, body: unknown, headers?: Record<string, unknown>): Buffer {
  const encoded = encodeBody(body);
  return headers === undefined
    ? encodeFrameWith([Kind.publish, topic], encoded)
    : encodeFrame([Kind.publish, topic, body, headers]);
}

export function encodeReply(id: number, outcome: Fault | { readonly result: unknown }): Buffer {
  return isFault(outcome)
    ? encodeFrame([Kind.reply, id, 1, outcome])
    : encodeFrame([Kind.reply, id, 0, outcome.result ?? null]);
}

/** The id of a request, reply, chunk or cancel that ends at `end`. Throws MalformedError. */
export function readId(frame: Buffer, start: number, end: number): number {
  if (start + idAt + 4 > end || frame[start + 6] !== 0xce)
    throw new MalformedError('an id must be a 32-bit unsigned integer (0xce and four bytes, at least 65536)');
  return frame.readUInt32BE(start + idAt);
}

export function rewriteId(frame: Buffer, start: number, id: number): void {
  frame.writeUInt32BE(id, start + idAt);
}

/** The short string at `at` (fixstr, str 8 or str 16), as text and the position after it. */
export function readText(bytes: Buffer, at: number, end: number): { text: string; after: number } {
  const head = bytes[at] ?? 0;
  let start = -1;
  let length = 0;
  if ((head & 0xe0) === 0xa0) {
    start = at + 1;
    length = head & 0x1f;
  } else if (head === 0xd9 && at + 2 <= end) {
    start = at + 2;
    length = bytes[at + 1]!;
  } else if (head === 0xda && at + 3 <= end) {
    start = at + 3;
    length = bytes.readUInt16BE(at + 1);
  }
  if (start === -1 || start + length > end) throw new MalformedError('a string was expected');
  return { text: bytes.utf8Slice(start, start + length), after: start + length };
}

/** A checked unsigned integer at `at`, and the position after it. */
export function readUint(bytes: Buffer, at: number, end: number): { value: number; after: number } {
  const head = bytes[at] ?? 0xc1;
  const after = at >= end ? end + 1 : head < 0x80 ? at + 1 : skipValue(bytes, at, end);
  if (head < 0x80 && after <= end) return { value: head, after };
  if (head === 0xcc) return { value: bytes[at + 1]!, after };
  if (head === 0xcd) return { value: bytes.readUInt16BE(at + 1), after };
  if (head === 0xce) return { value: bytes.readUInt32BE(at + 1), after };
  if (head === 0xcf) {
    const value = Number(bytes.readBigUInt64BE(at + 1));
    if (value <= Number.MAX_SAFE_INTEGER) return { value, after };
  }
  throw new MalformedError('an unsigned integer was expected');
}

/** Takes whole frames. `start` is where the length prefix stands, `end` the position after the frame. */
export interface FrameSink {
  /** False: not accepted now. Nothing more is delivered until `resume`, which presents the same frame again. */
  frame(bytes: Buffer, start: number, end: number): boolean;
}

/**
 * Cuts a byte stream into frames, whatever the chunking, without copying those that lie whole in a chunk. A length
 * over `frameBytesMax` is refused before anything is kept for it, and what is kept never exceeds what has arrived.
 */
export class FrameReader {
  frameBytesMax: number;
  #parts: Buffer[] = [];
  #partialBytes = 0;
  #stopped = false;
  #held: Buffer | undefined;

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  /** Bytes of a frame that is not complete yet. */
  get partialBytes(): number {
    return this.#partialBytes;
  }

  /** No further frame is delivered, even from the chunk being read. */
  stop(): void {
    this.#stopped = true;
    this.#parts = [];
    this.#partialBytes = 0;
    this.#held = undefined;
  }

  /** Feeds one chunk. Throws MalformedError; the stream is then beyond repair. */
  feed(chunk: Buffer, sink: FrameSink): void {
    if (this.#held !== undefined) {
      this.#held = Buffer.concat([this.#held, chunk]);
      return;
    }
    let at = this.#partialBytes > 0 ? this.#complete(chunk, sink) : 0;
    const end = chunk.length;
    while (!this.#stopped && this.#held === undefined && end - at >= 4) {
      const frameEnd = at + 4 + this.#lengthAt(chunk, at);
      if (frameEnd > end) break;
      if (!sink.frame(chunk, at, frameEnd)) this.#held = noBytes;
      else at = frameEnd;
    }
    if (this.#stopped || at === end) return;
    const rest = chunk.subarray(at);
    if (this.#held === undefined) this.#append(rest);
    else this.#held = this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest]);
  }

  /** Goes on after a frame was not accepted. */
  resume(sink: FrameSink): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.feed(held, sink);
  }

  /** Completes the partial frame from `chunk`; returns how much of the chunk that used up. */
  #complete(chunk: Buffer, sink: FrameSink): number {
    let used = 0;
    if (this.#partialBytes < 4) {
      used = Math.min(4 - this.#partialBytes, chunk.length);
      this.#append(chunk.subarray(0, used));
      if (this.#partialBytes < 4) return used;
    }
    if (this.#parts[0]!.length < 4) this.#parts = [Buffer.concat(this.#parts)];
    const missing = 4 + this.#lengthAt(this.#parts[0]!, 0) - this.#partialBytes;
    const more = Math.min(missing, chunk.length - used);
    if (more > 0) this.#append(chunk.subarray(used, used + more));
    used += more;
    if (more === missing) {
      const whole = Buffer.concat(this.#parts, this.#partialBytes);
      this.#parts = [];
      this.#partialBytes = 0;
      if (!sink.frame(whole, 0, whole.length)) this.#held = whole;
    }
    return used;
  }

  #append(part: Buffer): void {
    // A copy, so that a few kept bytes do not hold a whole chunk, and the sink may keep views of its own.
    this.#parts.push(Buffer.from(part));
    this.#partialBytes += part.length;
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length > this.frameBytesMax) throw new FrameTooLargeError(length, this.frameBytesMax);
    if (length < 2) throw new MalformedError('a frame holds at least an array header and a kind');
    return length;
  }
}

export class FrameTooLargeError extends Error {
  override readonly name = 'FrameTooLargeError';
  readonly code = 'frame_too_large';

  constructor(length: number, max: number) {
    super(`A frame of ${length} bytes is over the limit of ${max}.`);
  }
}
