/** One connection to a broker, from hello to the end: frames out, frames in, and the requests that wait for a reply. */
import type { Duplex } from 'node:stream';
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import {
  encodeFrame,
  encodeFrameWith,
  FrameReader,
  type FrameSink,
  FrameTooLargeError,
  Kind,
  protocolVersion,
  readId,
  requestIdMax,
  requestIdMin,
} from '../protocol/frame.ts';
import { limitTable } from '../protocol/limits.ts';
import type { Welcome } from '../protocol/message.ts';
import { decodeValue, encodeBody, MalformedError } from '../protocol/msgpack.ts';
import type { Role } from '../protocol/schema.ts';

export interface Message {
  readonly topic: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
}

export interface IncomingCall {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
  readonly deadlineMs: number;
}

export interface ConnectionEvents {
  message(message: Message): void;
  call(call: IncomingCall): void;
  cancelled(id: number): void;
  /** A realtime publish was refused. */
  refused(fault: Fault): void;
  closed(why: Error): void;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
  chunk: ((body: unknown) => void) | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** The connection ended before the answer came. Whether the broker acted on the request is not known. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  readonly code = 'connection_lost';
}

/** A deadline of its own, beyond which a caller stops waiting even when the broker says nothing. */
const silenceMs = 2000;

export class Connection implements FrameSink {
  #welcome: Welcome | undefined;
  readonly #greeting = Promise.withResolvers<void>();
  readonly #stream: Duplex;
  readonly #events: ConnectionEvents;
  readonly #reader = new FrameReader(limitTable.frameBytesMax.value);
  readonly #waiting = new Map<number, Waiting>();
  readonly #acks: {
    sequence: number;
    resolve(ack: { subscribers: number }): void;
    reject(error: Error): void;
  }[] = [];
  #nextId = requestIdMin;
  #sequence = 0;
  #closed: Error | undefined;
  #corked = false;

  /** Says hello over a connected stream and waits for the welcome. Rejects with the FaultError of a refusal. */
  static async open(
    stream: Duplex,
    hello: { name: string; version: string; role: Role },
    events: ConnectionEvents,
    timeoutMs: number,
  ): Promise<Connection> {
    const connection = new Connection(stream, events);
    const timer = setTimeout(
      () => connection.#end(new ConnectionLostError(`The broker said nothing for ${timeoutMs} ms.`)),
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
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', (cause) =>
      this.#end(new ConnectionLostError(`The connection broke: ${cause.message}.`, { cause })),
    );
    stream.on('close', () => this.#end(new ConnectionLostError('The broker closed the connection.')));
    stream.on('end', () => this.#end(new ConnectionLostError('The broker closed the connection.')));
  }

  /** Why it ended, once it has. */
  get closed(): Error | undefined {
    return this.#closed;
  }

  /** What the broker said about itself and its limits. */
  get welcome(): Welcome {
    return this.#welcome!;
  }

  /** Calls `method` of `target`; resolves with the result or rejects with a FaultError or ConnectionLostError. */
  request(
    target: string,
    method: string,
    params: unknown,
    deadlineMs: number,
    options: { signal?: AbortSignal | undefined; chunk?: ((body: unknown) => void) | undefined } = {},
  ): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#freeId();
    const frame = encodeFrameWith([Kind.request, id, target, method], encodeBody(params ?? {}));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(
      () =>
        this.#fail(
          id,
          new FaultError({
            code: 'deadline_exceeded',
            message: `No answer to ${method} came within ${deadlineMs} ms.`,
            category: 'timeout',
            retry: true,
          }),
        ),
      deadlineMs + silenceMs,
    );
    this.#waiting.set(id, { resolve, reject, chunk: options.chunk, timer });
    this.#write(withDeadline(frame, deadlineMs));
    const abort = () => {
      this.#write(encodeFrame([Kind.cancel, id]));
      this.#fail(
        id,
        new FaultError({
          code: 'cancelled',
          message: `The call of ${method} was cancelled.`,
          category: 'communication',
        }),
      );
    };
    if (options.signal?.aborted === true) abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    return options.signal === undefined
      ? promise
      : promise.finally(() => options.signal?.removeEventListener('abort', abort));
  }

  /** False when it was not written because the connection is gone. */
  publish(topic: string, body: unknown, headers?: Readonly<Record<string, unknown>>): boolean {
    if (this.#closed !== undefined) return false;
    this.#write(
      headers === undefined
        ? encodeFrameWith([Kind.publish, topic], encodeBody(body))
        : encodeFrame([Kind.publish, topic, body, headers]),
    );
    return true;
  }

  /** Resolves when every matching subscriber has been handed the message. */
  publishConfirmed(
    topic: string,
    body: unknown,
    headers?: Readonly<Record<string, unknown>>,
  ): Promise<{ subscribers: number }> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const sequence = ++this.#sequence;
    return new Promise((resolve, reject) => {
      const frame =
        headers === undefined
          ? encodeFrameWith([Kind.publishConfirmed, sequence, topic], encodeBody(body))
          : encodeFrame([Kind.publishConfirmed, sequence, topic, body, headers]);
      this.#acks.push({ sequence, resolve, reject });
      this.#write(frame);
    });
  }

  reply(id: number, status: 0 | 1, body: unknown): void {
    if (this.#closed === undefined) this.#write(encodeFrameWith([Kind.reply, id, status], encodeBody(body)));
  }

  chunk(id: number, body: unknown): void {
    if (this.#closed === undefined) this.#write(encodeFrameWith([Kind.chunk, id], encodeBody(body)));
  }

  /** Says goodbye and lets what was written leave, for at most `graceMs`. */
  async close(graceMs = 5000): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#write(encodeFrame([Kind.goodbye, 'closed by the client']));
    const ended = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#flush();
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
        this.#welcome = frame[1] as Welcome;
        this.#reader.frameBytesMax = this.#welcome.limits.frame_bytes_max;
        this.#greeting.resolve();
        break;
      case Kind.publish:
        this.#events.message({
          topic: frame[1] as string,
          body: frame[2],
          ...(frame[3] === undefined ? {} : { headers: frame[3] as Record<string, unknown> }),
        });
        break;
      case Kind.publishConfirmed:
        this.#events.message({
          topic: frame[2] as string,
          body: frame[3],
          ...(frame[4] === undefined ? {} : { headers: frame[4] as Record<string, unknown> }),
        });
        break;
      case Kind.ack:
        this.#ack(frame[1] as number, frame[2] as number, frame[3] as Fault | undefined);
        break;
      case Kind.request:
        this.#events.call({
          id: frame[1] as number,
          method: frame[3] as string,
          params: frame[4],
          deadlineMs: (frame[5] as number) ?? 0,
        });
        break;
      case Kind.reply:
        this.#replied(frame[1] as number, frame[2] as number, frame[3]);
        break;
      case Kind.chunk:
        this.#waiting.get(frame[1] as number)?.chunk?.(frame[2]);
        break;
      case Kind.cancel:
        this.#events.cancelled(frame[1] as number);
        break;
      case Kind.ping:
        this.#write(encodeFrame([Kind.pong, frame[1]]));
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

  /** The broker forwards bodies unseen, so a peer may send one that is no value. Only that message or call suffers. */
  #undecodable(bytes: Buffer, start: number, end: number, error: Error): void {
    const refusal = fault('malformed_frame', `A message came whose body cannot be decoded: ${error.message}.`);
    const kind = bytes[start + 5];
    if (kind === Kind.publish || kind === Kind.publishConfirmed) this.#events.refused(refusal);
    else if (kind === Kind.reply || kind === Kind.chunk) this.#fail(readId(bytes, start, end), new FaultError(refusal));
    else if (kind !== Kind.request) throw error;
    else this.reply(readId(bytes, start, end), 1, refusal);
  }

  #replied(id: number, status: number, body: unknown): void {
    const waiting = this.#take(id);
    if (status === 0) waiting?.resolve(body);
    else waiting?.reject(new FaultError(body as Fault));
  }

  #ack(sequence: number, subscribers: number, refusal: Fault | undefined): void {
    if (sequence === 0) return this.#events.refused(refusal!);
    while (this.#acks[0] !== undefined && this.#acks[0].sequence <= sequence) {
      const ack = this.#acks.shift()!;
      if (refusal !== undefined && ack.sequence === sequence) ack.reject(new FaultError(refusal));
      else ack.resolve({ subscribers });
    }
  }

  #fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      clearTimeout(waiting.timer);
      this.#waiting.delete(id);
    }
    return waiting;
  }

  #end(why: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = why;
    const lost =
      why instanceof FaultError
        ? why
        : new ConnectionLostError(`The connection to the broker ended: ${why.message}`, { cause: why });
    for (const id of [...this.#waiting.keys()]) this.#fail(id, lost);
    for (const { reject } of this.#acks.splice(0)) reject(lost);
    if (this.#welcome === undefined) this.#greeting.reject(why);
    else this.#events.closed(why);
  }

  /** Everything written in one turn of the loop leaves in one write. */
  #write(frame: Buffer): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      setImmediate(() => this.#flush());
    }
    this.#stream.write(frame);
  }

  #flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#stream.uncork();
  }

  #freeId(): number {
    do this.#nextId = this.#nextId >= requestIdMax ? requestIdMin : this.#nextId + 1;
    while (this.#waiting.has(this.#nextId));
    return this.#nextId;
  }
}

/** Appends the deadline to a request that ends with its params. */
function withDeadline(frame: Buffer, deadlineMs: number): Buffer {
  const whole = Buffer.allocUnsafe(frame.length + 5);
  frame.copy(whole);
  whole[frame.length] = 0xce;
  whole.writeUInt32BE(Math.max(1, Math.min(Math.round(deadlineMs), 0xffff_ffff)), frame.length + 1);
  whole.writeUInt32BE(frame.length + 1, 0);
  whole[4] = frame[4]! + 1;
  return whole;
}
