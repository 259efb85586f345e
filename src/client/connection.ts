/** One connection to a broker, from hello to the end: frames out, frames in, each dispatched by its kind. */
import type { Duplex } from 'node:stream';
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import {
  encodeFrame,
  FrameReader,
  type FrameSink,
  FrameTooLargeError,
  Kind,
  protocolVersion,
  readId,
} from '../protocol/frame.ts';
import type { Welcome } from '../protocol/hello.ts';
import { limitTable } from '../protocol/limits.ts';
import { decodeValue, MalformedError } from '../protocol/msgpack.ts';
import type { Role } from '../protocol/schema.ts';
import { onAbort } from './abort.ts';
import { ConnectionLostError } from './error.ts';
import { callOf, type IncomingCall, type Message, messageOf } from './incoming-frame.ts';
import { OutboundBuffer } from './outbound-buffer.ts';
import {
  chunkFrame,
  confirmedPublishFrame,
  type Headers,
  publishFrame,
  replyFrame,
  requestFrame,
} from './outgoing-frame.ts';
import { type Ack, PendingAcks } from './pending-acks.ts';
import { PendingRequests } from './pending-requests.ts';

interface ConnectionEvents {
  message(message: Message): void;
  call(call: IncomingCall, connection: Connection): void;
  cancelled(id: number): void;
  /** A realtime publish was refused, or a message came that cannot be decoded. */
  refused(fault: Fault): void;
  /** An open connection ended; never called before the welcome. */
  closed(connection: Connection, why: Error): void;
}

export class Connection implements FrameSink {
  readonly #stream: Duplex;
  readonly #events: ConnectionEvents;
  readonly #greeting = Promise.withResolvers<void>();
  readonly #reader = new FrameReader(limitTable.frameBytesMax.value);
  readonly #outbound: OutboundBuffer;
  readonly #requests = new PendingRequests();
  readonly #acks = new PendingAcks();
  #welcome: Welcome | undefined;
  #closed: Error | undefined;

  /** Sends the hello over a connected stream and waits for the welcome. Rejects with the FaultError of a refusal. */
  static async open(
    stream: Duplex,
    hello: { name: string; version: string; role: Role },
    events: ConnectionEvents,
    timeoutMs: number,
  ): Promise<Connection> {
    const connection = new Connection(stream, events);
    const timer = setTimeout(
      () => connection.#end(new ConnectionLostError(`The broker sent no welcome within ${timeoutMs} ms.`)),
      timeoutMs,
    );
    stream.write(encodeFrame([Kind.hello, { protocol: protocolVersion, ...hello }]));
    try {
      await connection.#greeting.promise;
      return connection;
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(stream: Duplex, events: ConnectionEvents) {
    this.#stream = stream;
    this.#events = events;
    this.#outbound = new OutboundBuffer(stream);
    const closed = () => this.#end(new ConnectionLostError('The broker closed the connection.'));
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', (cause) =>
      this.#end(new ConnectionLostError(`The connection broke: ${cause.message}.`, { cause })),
    );
    stream.on('close', closed);
    stream.on('end', closed);
  }

  /** Why it ended, once it has. */
  get closed(): Error | undefined {
    return this.#closed;
  }

  /** The broker's version and limits. */
  get welcome(): Welcome {
    return this.#welcome!;
  }

  /** Calls `method` of `target`; resolves with the result or rejects with a FaultError or ConnectionLostError. */
  request(
    target: string,
    method: string,
    params: unknown,
    timeoutMs: number,
    options: { signal?: AbortSignal | undefined; chunk?: ((body: unknown) => void) | undefined } = {},
  ): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const { signal, chunk } = options;
    if (signal?.aborted === true) return Promise.reject(cancelled(method));
    const { id, reply } = this.#requests.add(method, timeoutMs, chunk);
    const untilMs = performance.now() + timeoutMs;
    const fail = (error: Error) => this.#requests.fail(id, error);
    let sent = false;
    this.#outbound.whenRoom(() => {
      if (!this.#requests.has(id)) return; // its time passed, or it was cancelled, while it waited
      try {
        this.#outbound.write(requestFrame(id, target, method, params, untilMs - performance.now()));
        sent = true;
      } catch (error) {
        fail(error as Error);
      }
    }, fail);
    if (signal === undefined) return reply;
    const release = onAbort(signal, () => {
      if (sent && this.#requests.has(id)) this.#outbound.write(encodeFrame([Kind.cancel, id]));
      fail(cancelled(method));
    });
    return reply.finally(release);
  }

  /** False when it was not written: the connection is gone, or the broker holds back more than is kept for it. */
  publish(topic: string, body: unknown, headers?: Headers): boolean {
    if (this.#closed !== undefined || this.#outbound.isFull) return false;
    this.#outbound.write(publishFrame(topic, body, headers));
    return true;
  }

  /** Resolves when every matching subscriber has been handed the message. */
  publishConfirmed(topic: string, body: unknown, headers?: Headers): Promise<Ack> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      this.#outbound.whenRoom(() => {
        try {
          // Numbered when it leaves: acks are cumulative, so the numbers stand in the order of the frames.
          const frame = confirmedPublishFrame(this.#acks.nextSequence, topic, body, headers);
          this.#acks.add(resolve, reject);
          this.#outbound.write(frame);
        } catch (error) {
          reject(error);
        }
      }, reject);
    });
  }

  reply(id: number, status: 0 | 1, body: unknown): void {
    if (this.#closed === undefined) this.#outbound.write(replyFrame(id, status, body));
  }

  /** Sends a part of a streamed reply; resolves when there was room for it. */
  chunk(id: number, body: unknown): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const frame = chunkFrame(id, body);
    return new Promise((resolve, reject) => {
      this.#outbound.whenRoom(() => {
        this.#outbound.write(frame);
        resolve();
      }, reject);
    });
  }

  /** Sends a goodbye and flushes what was written, for at most `graceMs`. */
  async close(graceMs = 5000): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#outbound.write(encodeFrame([Kind.goodbye, 'closed by the client']));
    const ended = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#outbound.flush();
    this.#stream.end();
    const timer = setTimeout(() => this.#stream.destroy(), graceMs);
    await ended;
    clearTimeout(timer);
    this.#end(new ConnectionLostError('The connection was closed.'));
  }

  destroy(): void {
    this.#stream.destroy();
  }

  frame(bytes: Buffer, start: number, end: number): boolean {
    let frame: unknown[];
    try {
      frame = decodeValue(bytes, start + 4, end) as unknown[];
    } catch (error) {
      this.#undecodable(bytes, start, end, error as Error);
      return true;
    }
    if (this.#welcome === undefined && frame[0] !== Kind.welcome && frame[0] !== Kind.goodbye)
      throw new MalformedError(`frame kind ${frame[0]} came before the welcome`);
    switch (frame[0]) {
      case Kind.welcome:
        this.#greeted(frame[1] as Welcome);
        break;
      case Kind.publish:
      case Kind.publishConfirmed:
        this.#events.message(messageOf(frame));
        break;
      case Kind.ack:
        this.#acked(frame[1] as number, frame[2] as number, frame[3] as Fault | undefined);
        break;
      case Kind.request:
        this.#events.call(callOf(frame), this);
        break;
      case Kind.reply:
        this.#requests.reply(frame[1] as number, frame[2] as number, frame[3]);
        break;
      case Kind.chunk:
        this.#requests.chunk(frame[1] as number, frame[2]);
        break;
      case Kind.cancel:
        this.#events.cancelled(frame[1] as number);
        break;
      case Kind.ping:
        this.#outbound.write(encodeFrame([Kind.pong, frame[1]]));
        break;
      case Kind.goodbye:
        this.#end(new FaultError(frame[1] as Fault));
        this.#stream.end();
    }
    return true;
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.feed(chunk, this);
    } catch (error) {
      if (!(error instanceof MalformedError || error instanceof FrameTooLargeError)) throw error;
      this.#end(error);
      this.#stream.destroy();
    }
  }

  #greeted(welcome: Welcome): void {
    const [theirs, ours] = [welcome.protocol, protocolVersion];
    if (String(theirs).split('.')[0] !== ours.split('.')[0]) {
      const message = `The broker speaks protocol ${theirs}, this client ${ours}. Use a deye of the same major protocol version.`;
      this.#end(new FaultError(fault('protocol_version', message, { client: ours, broker: theirs })));
      return;
    }
    this.#welcome = welcome;
    this.#reader.frameBytesMax = welcome.limits.frame_bytes_max;
    this.#greeting.resolve();
  }

  /** The broker forwards bodies unread, so a peer may send one that is no value. Only that message or call fails. */
  #undecodable(bytes: Buffer, start: number, end: number, error: Error): void {
    const refusal = fault('malformed_body', `A message came whose body cannot be decoded: ${error.message}.`);
    const kind = bytes[start + 5];
    if (kind === Kind.publish || kind === Kind.publishConfirmed) this.#events.refused(refusal);
    else if (kind === Kind.reply || kind === Kind.chunk)
      this.#requests.fail(readId(bytes, start, end), new FaultError(refusal));
    else if (kind === Kind.request) this.reply(readId(bytes, start, end), 1, refusal);
    else throw error;
  }

  #acked(sequence: number, subscribers: number, refusal: Fault | undefined): void {
    if (sequence > 0) this.#acks.ack(sequence, subscribers, refusal);
    else if (refusal !== undefined) this.#events.refused(refusal);
  }

  #end(why: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = why;
    const lost =
      why instanceof FaultError
        ? why
        : new ConnectionLostError(`The connection to the broker ended: ${why.message}`, { cause: why });
    this.#outbound.end(lost);
    this.#requests.failAll(lost);
    this.#acks.failAll(lost);
    if (this.#welcome === undefined) this.#greeting.reject(why);
    else this.#events.closed(this, why);
  }
}

const cancelled = (method: string): FaultError =>
  new FaultError(fault('cancelled', `The call of ${method} was cancelled.`));
