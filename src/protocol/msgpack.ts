/**
 * MessagePack values, with the checks that a decoder open to strangers needs. The encoding itself is msgpackr's.
 *
 * `skipValue` walks a value without building it: bounds, depth (≤ 64), declared counts against the bytes that are
 * really there, no extensions, string keys only, no key that would touch a prototype. Only what it accepted reaches
 * msgpackr, so a bomb is refused before anything is allocated for it. It also finds the bytes of one field, by which
 * payloads travel through the broker undecoded and byte for byte.
 */
import { Packr } from 'msgpackr';
import { limitTable } from './limits.ts';

const depthMax = limitTable.decodeDepthMax.value;
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'auto' as 'number', // a bigint where a number would change it; its types lack this value
  encodeUndefinedAsNil: true,
});

/** Bytes that are not an acceptable value. `message` says which rule they break. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
  readonly code = 'malformed_frame';
}

const refuse = (why: string): never => {
  throw new MalformedError(why);
};

const forbiddenKeys = new Set(['__proto__']);

/** Position after the value that starts at `at`, or a MalformedError. `end` bounds what may be read. */
export function skipValue(bytes: Buffer, at: number, end: number, depth = 0): number {
  if (at >= end) return refuse('value is cut short');
  const head = bytes[at]!;
  if (head < 0x80 || head >= 0xe0) return at + 1;
  if (head < 0x90) return skipMap(bytes, at + 1, end, head & 0x0f, depth);
  if (head < 0xa0) return skipArray(bytes, at + 1, end, head & 0x0f, depth);
  if (head < 0xc0) return within(at + 1 + (head & 0x1f), end);
  switch (head) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc4:
    case 0xd9:
      return within(at + 2, end) && within(at + 2 + bytes[at + 1]!, end);
    case 0xc5:
    case 0xda:
      return within(at + 3, end) && within(at + 3 + bytes.readUInt16BE(at + 1), end);
    case 0xc6:
    case 0xdb:
      return within(at + 5, end) && within(at + 5 + bytes.readUInt32BE(at + 1), end);
    case 0xcc:
    case 0xd0:
      return within(at + 2, end);
    case 0xcd:
    case 0xd1:
      return within(at + 3, end);
    case 0xca:
    case 0xce:
    case 0xd2:
      return within(at + 5, end);
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return within(at + 9, end);
    case 0xdc:
      return within(at + 3, end) && skipArray(bytes, at + 3, end, bytes.readUInt16BE(at + 1), depth);
    case 0xdd:
      return within(at + 5, end) && skipArray(bytes, at + 5, end, bytes.readUInt32BE(at + 1), depth);
    case 0xde:
      return within(at + 3, end) && skipMap(bytes, at + 3, end, bytes.readUInt16BE(at + 1), depth);
    case 0xdf:
      return within(at + 5, end) && skipMap(bytes, at + 5, end, bytes.readUInt32BE(at + 1), depth);
    case 0xc1:
      return refuse('byte 0xc1 is never used in MessagePack');
    default:
      return refuse('extension types are not accepted');
  }
}

function within(position: number, end: number): number {
  return position <= end ? position : refuse('value is cut short');
}

function skipArray(bytes: Buffer, at: number, end: number, count: number, depth: number): number {
  if (depth >= depthMax) refuse(`value is nested deeper than ${depthMax}`);
  if (count > end - at) refuse('array declares more elements than there are bytes');
  for (let left = count; left > 0; left--) at = skipValue(bytes, at, end, depth + 1);
  return at;
}

function skipMap(bytes: Buffer, at: number, end: number, count: number, depth: number): number {
  if (depth >= depthMax) refuse(`value is nested deeper than ${depthMax}`);
  if (count * 2 > end - at) refuse('map declares more entries than there are bytes');
  for (let left = count; left > 0; left--) {
    const afterKey = skipValue(bytes, at, end, depth + 1);
    checkKey(bytes, at, afterKey);
    at = skipValue(bytes, afterKey, end, depth + 1);
  }
  return at;
}

function checkKey(bytes: Buffer, at: number, end: number): void {
  const body = strStart(bytes, at);
  if (body === -1) refuse('map keys must be strings');
  // '__proto__' is nine bytes and starts with an underscore; anything else cannot be it
  if (end - body === 9 && bytes[body] === 0x5f && forbiddenKeys.has(bytes.latin1Slice(body, end)))
    refuse('the key "__proto__" is not accepted');
}

/** Where the characters of the string at `at` start, or -1 when it is no string. */
function strStart(bytes: Buffer, at: number): number {
  const head = bytes[at]!;
  if (head >= 0xa0 && head < 0xc0) return at + 1;
  if (head === 0xd9) return at + 2;
  if (head === 0xda) return at + 3;
  if (head === 0xdb) return at + 5;
  return -1;
}

/** How many entries the maps and lists of a checked value hold together; counting stops beyond `most`. */
export function entriesOf(bytes: Buffer, most: number): number {
  let entries = 0;
  for (let at = 0; at < bytes.length && entries <= most; ) {
    const head = bytes[at]!;
    const map = open(bytes, at, 0x80, 0xde);
    const list = map ?? open(bytes, at, 0x90, 0xdc);
    if (list === undefined) at = head < 0x80 || head >= 0xe0 ? at + 1 : skipValue(bytes, at, bytes.length);
    else {
      entries += list.count;
      at = list.at;
    }
  }
  return entries;
}

/** Decodes the value that fills `at`..`end` exactly. Throws MalformedError. */
export function decodeValue(bytes: Buffer, at = 0, end = bytes.length): unknown {
  if (skipValue(bytes, at, end) !== end) refuse('bytes are left over after the value');
  return packr.unpack(bytes.subarray(at, end));
}

/** Encodes a plain value: null, booleans, numbers, strings, byte arrays, arrays, and objects with string keys. */
export function encodeValue(value: unknown): Buffer {
  return packr.pack(value);
}

/** As `encodeValue`, but throws a TypeError when the value holds what the wire does not carry (a Date, a bigint over 64 bits …). */
export function encodeBody(value: unknown): Buffer {
  const bytes = packr.pack(value === undefined ? null : value);
  try {
    skipValue(bytes, 0, bytes.length);
  } catch (cause) {
    throw new TypeError(
      `This value cannot travel: ${(cause as Error).message}. Send plain values (a Date as its ISO string).`,
      { cause },
    );
  }
  return bytes;
}

/** Count and first position of the map or array at `at`. The value must have passed `skipValue`. */
function open(
  bytes: Buffer,
  at: number,
  fix: 0x80 | 0x90,
  wide: 0xde | 0xdc,
): { count: number; at: number } | undefined {
  const head = bytes[at]!;
  if ((head & 0xf0) === fix) return { count: head & 0x0f, at: at + 1 };
  if (head === wide) return { count: bytes.readUInt16BE(at + 1), at: at + 3 };
  if (head === wide + 1) return { count: bytes.readUInt32BE(at + 1), at: at + 5 };
  return undefined;
}

/**
 * The bytes of the value of `key` in the checked map at `at`, a view and not a copy; `undefined` when there is none.
 * Of a key that stands twice the last one counts, as it does for the decoder.
 */
export function fieldBytes(bytes: Buffer, at: number, key: string): Buffer | undefined {
  const map = open(bytes, at, 0x80, 0xde);
  if (map === undefined) return undefined;
  let position = map.at;
  let found: Buffer | undefined;
  for (let left = map.count; left > 0; left--) {
    const afterKey = skipValue(bytes, position, bytes.length);
    const afterValue = skipValue(bytes, afterKey, bytes.length);
    if (bytes.utf8Slice(strStart(bytes, position), afterKey) === key) found = bytes.subarray(afterKey, afterValue);
    position = afterValue;
  }
  return found;
}

/** The bytes of each element of a checked array, as views. */
export function elementBytes(array: Buffer): Buffer[] {
  const opened = open(array, 0, 0x90, 0xdc);
  const elements: Buffer[] = [];
  if (opened === undefined) return elements;
  let position = opened.at;
  for (let left = opened.count; left > 0; left--) {
    const after = skipValue(array, position, array.length);
    elements.push(array.subarray(position, after));
    position = after;
  }
  return elements;
}

/** Encodes a map of `fields` followed by `raw` entries whose values are already encoded and go in byte for byte. */
export function encodeMapWith(fields: Record<string, unknown>, raw: Record<string, Uint8Array | undefined>): Buffer {
  const plain = Object.entries(fields).filter(([, value]) => value !== undefined);
  const ready = Object.entries(raw).filter((entry): entry is [string, Uint8Array] => entry[1] !== undefined);
  const head = Buffer.allocUnsafe(3);
  head[0] = 0xde;
  head.writeUInt16BE(plain.length + ready.length, 1);
  const parts: Uint8Array[] = [head];
  const packed = packr.pack(Object.fromEntries(plain));
  parts.push(packed.subarray(open(packed, 0, 0x80, 0xde)!.at));
  for (const [key, value] of ready) parts.push(packr.pack(key), value);
  return Buffer.concat(parts);
}

/** The encoding of nil, the payload of a task that has none. */
export const nilBytes: Uint8Array = Uint8Array.of(0xc0);
