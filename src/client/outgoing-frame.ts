/** The frames a client sends whose bodies come from its caller. Each throws a TypeError for a body that cannot travel. */
import { encodeFrameWith, Kind } from '../protocol/frame.ts';
import { encodeBody } from '../protocol/msgpack.ts';

export type Headers = Readonly<Record<string, unknown>>;

export const publishFrame = (topic: string, body: unknown, headers: Headers | undefined): Buffer =>
  withBody([Kind.publish, topic], body, headers);

export const confirmedPublishFrame = (
  sequence: number,
  topic: string,
  body: unknown,
  headers: Headers | undefined,
): Buffer => withBody([Kind.publishConfirmed, sequence, topic], body, headers);

export function requestFrame(id: number, target: string, method: string, params: unknown, timeoutMs: number): Buffer {
  const frame = encodeFrameWith([Kind.request, id, target, method], encodeBody(params ?? {}));
  return append(frame, uint32(Math.max(1, Math.min(Math.round(timeoutMs), 0xffff_ffff))));
}

export const replyFrame = (id: number, status: 0 | 1, body: unknown): Buffer =>
  encodeFrameWith([Kind.reply, id, status], encodeBody(body));

export const chunkFrame = (id: number, body: unknown): Buffer => encodeFrameWith([Kind.chunk, id], encodeBody(body));

function withBody(head: readonly unknown[], body: unknown, headers: Headers | undefined): Buffer {
  const frame = encodeFrameWith(head, encodeBody(body));
  return headers === undefined ? frame : append(frame, encodeBody(headers));
}

/** A frame with one element more. Its array is short, so the count stands in the low half of the header byte. */
function append(frame: Buffer, element: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(frame.length + element.length);
  frame.copy(whole);
  whole.set(element, frame.length);
  whole.writeUInt32BE(whole.length - 4, 0);
  whole[4] = frame[4]! + 1;
  return whole;
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(5);
  bytes[0] = 0xce;
  bytes.writeUInt32BE(value, 1);
  return bytes;
}
