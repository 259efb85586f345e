/** Listens to both directions of a stream and gives their frames to a conversation. */
import type { Duplex } from 'node:stream';
import { FrameReader, Kind, readId } from '../../src/protocol/frame.ts';
import { decodeValue, MalformedError } from '../../src/protocol/msgpack.ts';
import { decodeParams } from '../../src/protocol/params.ts';
import { readRequest } from '../../src/protocol/request.ts';
import { statusTopic } from '../../src/protocol/view-schema.ts';
import { Conversation, type ConversationOptions } from './conversation.ts';

/** Publishes are the hot plane: only those that a table describes are decoded. */
const isTold = (bytes: Buffer, start: number, end: number): boolean => {
  const kind = bytes[start + 5];
  if (kind === Kind.publishConfirmed || kind === Kind.ping || kind === Kind.pong) return false;
  if (kind !== Kind.publish) return true;
  const [topic, topicEnd] = [start + 7, start + 7 + statusTopic.length];
  return topicEnd <= end && bytes.latin1Slice(topic, topicEnd) === statusTopic;
};

/** As the broker reads it: what stands behind the params, or is no value in them, does not matter. */
function requestOf(bytes: Buffer, start: number, end: number): unknown[] {
  const head = readRequest(bytes, start, end);
  let params: unknown;
  try {
    params = decodeParams(bytes, head)?.given;
  } catch {} // refused, or passed on unseen
  return [Kind.request, head.id, head.target, head.method, params];
}

/** Undefined when it is no value: the broker passes such bodies on unseen, and ends who sends other such frames. */
function decoded(bytes: Buffer, start: number, end: number): unknown[] | undefined {
  try {
    if (bytes[start + 5] === Kind.request) return requestOf(bytes, start, end);
    const frame = decodeValue(bytes, start + 4, end);
    return Array.isArray(frame) ? frame : undefined;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return bytes[start + 5] === Kind.reply ? undecodedReply(bytes, start, end) : undefined;
  }
}

function undecodedReply(bytes: Buffer, start: number, end: number): unknown[] | undefined {
  try {
    return [Kind.reply, readId(bytes, start, end)];
  } catch {
    return undefined; // no id either
  }
}

/** Frames in, decoded; a stream that is not cut into frames any more is not followed any further. */
function follower(told: (frame: unknown[], bytes: number) => void): (chunk: Buffer) => void {
  let reader: FrameReader | undefined = new FrameReader(0xffff_ffff);
  return (chunk) => {
    try {
      reader?.feed(chunk, {
        frame(bytes, start, end) {
          const frame = isTold(bytes, start, end) ? decoded(bytes, start, end) : undefined;
          if (frame !== undefined) told(frame, end - start - 4);
          return true;
        },
      });
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      reader = undefined;
    }
  };
}

/** `end` says whose end of the connection the stream is. */
export function tap(stream: Duplex, end: 'broker' | 'client', options: ConversationOptions): void {
  const conversation = new Conversation(options);
  const fromClient = follower((frame) => conversation.sent(frame));
  const fromBroker = follower((frame, bytes) => conversation.received(frame, bytes));
  const [incoming, outgoing] = end === 'broker' ? [fromClient, fromBroker] : [fromBroker, fromClient];
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = (chunk: unknown, ...rest: unknown[]): boolean => {
    if (Buffer.isBuffer(chunk)) outgoing(chunk);
    return write(chunk, ...rest);
  };
  stream.prependListener('data', incoming);
}
