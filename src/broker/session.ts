/**
 * One connection's life: greeting → open → closed. Cuts the bytes into frames and sends each kind its way: publishes
 * into the inlet, calls to the relay, requests for the broker to their handlers. A frame that breaks a rule ends the
 * session with a goodbye that names the rule; nobody else notices.
 */
import type { Duplex } from 'node:stream';
import { type Fault, fault } from '../protocol/fault.ts';
import {
  encodeFrame,
  FrameReader,
  type FrameSink,
  FrameTooLargeError,
  Kind,
  protocolVersion,
  readId,
  readUint,
} from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import { type Hello, helloSchema, type Welcome } from '../protocol/message.ts';
import { decodeValue, MalformedError } from '../protocol/msgpack.ts';
import type { Role } from '../protocol/schema.ts';
import { type RequestHead, readRequest } from '../relay/calls.ts';
import { Inlet } from '../relay/inlet.ts';
import type { Relay } from '../relay/relay.ts';
import type { Subscriber } from '../relay/subscription.ts';

/** What a session asks of the broker it belongs to. */
export interface SessionHost {
  readonly limits: Limits;
  readonly relay: Relay;
  readonly version: string;
  /** It said what is no frame of the protocol, and is ended. */
  broken(session: Session, reason: Fault): void;
  /** A hello was accepted. */
  opened(session: Session): void;
  request(session: Session, head: RequestHead, bytes: Buffer, start: number, end: number): void;
  answer(session: Session, bytes: Buffer, start: number, end: number, last: boolean): void;
  cancel(session: Session, id: number): void;
  closed(session: Session, why: string): void;
}

export class Session implements FrameSink {
  readonly id: number;
  readonly self: Subscriber;
  phase: 'greeting' | 'open' | 'closed' = 'greeting';
  role: Role = 'observer';
  name = '';
  domains: ReadonlySet<string> = new Set();
  /** Whether anything came since the last look. */
  heard = false;
  readonly #stream: Duplex;
  readonly #host: SessionHost;
  readonly #reader: FrameReader;
  readonly #inlet: Inlet;

  constructor(id: number, stream: Duplex, host: SessionHost) {
    this.id = id;
    this.#stream = stream;
    this.#host = host;
    this.#reader = new FrameReader(host.limits.helloBytesMax);
    this.self = host.relay.connect(id, `session ${id}`, stream);
    const session = this;
    this.#inlet = new Inlet(host.relay, {
      get role() {
        return session.role;
      },
      get domains() {
        return session.domains;
      },
      self: this.self,
      resume: () => this.#resume(),
    });
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', () => this.#gone('connection lost')); // ECONNRESET and EPIPE: the peer died
    stream.on('close', () => this.#gone('connection closed'));
    stream.on('end', () => this.#gone('hung up'));
  }

  send(frame: Buffer): void {
    if (this.phase !== 'closed') this.self.link.send(frame);
  }

  /** Ends the session with a goodbye. The stream is given the time to take it. */
  end(reason: Fault): void {
    if (this.phase === 'closed') return;
    this.self.link.send(encodeFrame([Kind.goodbye, reason]));
    this.self.link.finish();
    this.#stream.end();
    this.#gone(reason.code);
    // A peer that does not read must not keep its descriptor open.
    setTimeout(() => this.#stream.destroy(), 1000).unref();
  }

  frame(bytes: Buffer, start: number, end: number): boolean {
    const kind = bytes[start + 5]!;
    if (kind === Kind.publish && this.phase === 'open') {
      this.#inlet.realtime(bytes, start, end);
      return true;
    }
    if (kind === Kind.publishConfirmed && this.phase === 'open') {
      if (this.#inlet.processed(bytes, start, end)) return true;
      this.#stream.pause();
      return false;
    }
    this.#inlet.flush();
    // Whoever does not read its answers gets no more of them: its requests wait until it does.
    if (kind === Kind.request && this.#host.relay.hold(this.self, this.#inlet)) {
      this.#stream.pause();
      return false;
    }
    if (this.phase === 'greeting') this.#greet(bytes, start, end);
    else this.#other(kind, bytes, start, end);
    return true;
  }

  #read(chunk: Buffer): void {
    if (this.phase === 'closed') return;
    this.heard = true;
    try {
      this.#reader.feed(chunk, this);
      this.#inlet.flush();
    } catch (error) {
      this.#broken(error);
    }
  }

  #resume(): void {
    if (this.phase === 'closed') return;
    this.#stream.resume();
    try {
      this.#reader.resume(this);
      this.#inlet.flush();
    } catch (error) {
      this.#broken(error);
    }
  }

  #broken(error: unknown): void {
    if (!(error instanceof MalformedError || error instanceof FrameTooLargeError)) throw error;
    const reason = fault(error.code, error.message);
    this.#host.broken(this, reason);
    this.end(reason);
  }

  #greet(bytes: Buffer, start: number, end: number): void {
    if (bytes[start + 5] !== Kind.hello) {
      this.end(fault('hello_expected', `The first frame must be a hello (kind ${Kind.hello}).`));
      return;
    }
    const frame = decodeValue(bytes, start + 4, end) as unknown[];
    const hello = helloSchema.safeParse(frame[1]);
    if (!hello.success) {
      this.end(
        fault(
          'hello_expected',
          `The hello is not understood: ${hello.error.issues[0]!.path.join('.')} ${hello.error.issues[0]!.message}.`,
        ),
      );
      return;
    }
    const theirs = hello.data.protocol;
    if (theirs.split('.')[0] !== protocolVersion.split('.')[0]) {
      this.end(
        fault(
          'protocol_version',
          `The client speaks protocol ${theirs}, this broker ${protocolVersion}. Use a deye of the same major protocol version.`,
          { client: theirs, broker: protocolVersion },
        ),
      );
      return;
    }
    this.#open(hello.data);
  }

  #open(hello: Hello): void {
    const { limits } = this.#host;
    this.phase = 'open';
    this.role = hello.role;
    this.name = hello.name;
    Object.assign(this.self, { name: hello.name });
    this.#reader.frameBytesMax = limits.frameBytesMax;
    const welcome: Welcome = {
      protocol: protocolVersion,
      version: this.#host.version,
      session: String(this.id),
      limits: { frame_bytes_max: limits.frameBytesMax, ping_ms: limits.pingMs, idle_ms: limits.idleMs },
    };
    this.send(encodeFrame([Kind.welcome, welcome]));
    this.#host.opened(this);
  }

  #other(kind: number, bytes: Buffer, start: number, end: number): void {
    if ((bytes[start + 4]! & 0xf0) !== 0x90)
      throw new MalformedError('a frame must be an array of at most 15 elements');
    switch (kind) {
      case Kind.request:
        this.#host.request(this, readRequest(bytes, start, end), bytes, start, end);
        return;
      case Kind.reply:
      case Kind.chunk:
        this.#host.answer(this, bytes, start, end, kind === Kind.reply);
        return;
      case Kind.cancel:
        this.#host.cancel(this, readId(bytes, start, end));
        return;
      case Kind.ping:
        this.send(encodeFrame([Kind.pong, readUint(bytes, start + 6, end).value]));
        return;
      case Kind.pong:
        return;
      case Kind.goodbye:
        this.#stream.end();
        this.#gone('said goodbye');
        return;
      default:
        throw new MalformedError(`frame kind ${kind} is not for clients to say`);
    }
  }

  #gone(why: string): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.#reader.stop();
    this.#host.relay.forget(this.#inlet);
    this.#host.relay.disconnect(this.self);
    if (!this.#stream.writableEnded) this.#stream.destroy();
    this.#host.closed(this, why);
  }
}
