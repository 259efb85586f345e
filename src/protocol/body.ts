/**
 * The last element that the broker knows of a frame, mostly a body. It is forwarded unseen; what its header gives is
 * checked in constant time, so that nothing follows a frame's array inside the frame. Where a map or a list ends only a
 * walk finds: that, and whatever is no value at all, is for the receiver to find out.
 */
import { Kind, readUint } from './frame.ts';
import { MalformedError, skipValue } from './msgpack.ts';

/** Whether a value that begins with this byte has its length in its header. */
const isFlat = Uint8Array.from({ length: 256 }, (_, head) => {
  const isNested = (head >= 0x80 && head < 0xa0) || (head >= 0xdc && head < 0xe0);
  const isExtension = (head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8);
  return isNested || isExtension || head === 0xc1 ? 0 : 1;
});

/**
 * The frame `bytes[start, end)`, an array of at most 15 elements, has one at `at` that is number `ordinal` (the kind is
 * number 0), and when that is the last one, ends with it. Throws a MalformedError.
 */
export function checkElement(bytes: Buffer, start: number, end: number, at: number, ordinal: number): void {
  const after = (bytes[start + 4]! & 0x0f) - ordinal - 1;
  if (after < 0 || at >= end) throw new MalformedError('a frame of this kind has more elements');
  if (isFlat[bytes[at]!] === 0) return;
  const valueEnd = skipValue(bytes, at, end);
  if (after === 0 && valueEnd !== end) throw new MalformedError('bytes are left over after the last element');
  if (after > 0 && valueEnd === end) throw new MalformedError('the frame holds fewer elements than it declares');
}

/** A reply has an id, a status of 0 or 1, and a body; a chunk an id and a body. Throws a MalformedError. */
export function checkAnswer(
  bytes: Buffer,
  start: number,
  end: number,
  kind: typeof Kind.reply | typeof Kind.chunk,
): void {
  const afterId = start + 11;
  if (kind === Kind.chunk) return checkElement(bytes, start, end, afterId, 2);
  const { value: status, after } = readUint(bytes, afterId, end);
  if (status > 1) throw new MalformedError(`a reply has the status 0 or 1, not ${status}`);
  checkElement(bytes, start, end, after, 3);
}
