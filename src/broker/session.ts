/**
 * One connection's life: greeting → open → closed. Cuts the bytes into frames and sends each kind its way: publishes
 * into the inlet, calls to the relay, requests for the broker to their handlers. A frame that breaks a rule ends the
 * session with a goodbye that names the rule; other sessions are not affected.
 *
 * Whatever makes the broker write counts against the session's outbound limit: over it, only realtime publishes of the
 * session are read until it has taken half of what is kept for it.
 */
import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Outcome, ReplyTo } from '../core/input.ts';
import type { Principal } from '../protocol/access.ts';
import { checkAnswer, checkElement } from '../protocol/body.ts';
import { type ClosingCode, type Fault, fault } from '../protocol/fault.ts';
import {
  encodeFrame,
  encodeFrameWith,
  encodeReply,
  FrameReader,
  type FrameSink,
  FrameTooLargeError,
  Kind,
  readId,
  readUint,
} from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import { MalformedError } from '../protocol/msgpack.ts';
import { type RequestHead, readRequest } from '../protocol/request.ts';
import { Inlet } from '../relay/inlet.ts';
import type { Link } from '../relay/link.ts';
import type { Peer, Publisher } from '../relay/peer.ts';
import type { Relay } from '../relay/relay.ts';
import type { PeerIdentity } from '../transport/port.ts';
import { Backlog } from './backlog.ts';
import { greet, welcomeOf } from './greeting.ts';
import { ReadQueue } from './read-queue.ts';
import type { Sessions } from './sessions.ts';

/** What a session needs of the broker it belongs to. */
export interface SessionHost {
  readonly limits: Limits;
  readonly relay: Relay;
  readonly version: string;
  readonly sessions: Pick<Sessions, 'protocolBroken' | 'opened' | 'watchUnread'>;
  request(session: Session, head: RequestHead, bytes: Buffer, start: number, end: number): void;
  answer(session: Session, bytes: Buffer, start: number, end: number, last: boolean): void;
  cancel(session: Session, id: number): void;
  closed(session: Session, why: string): void;
  /** Runs `run` after `ms`, also while the broker stops. */
  later(ms: number, run: () => void): void;
}

/** How long a session that was ended has to read its goodbye. */
const endGraceMs = 1000;

export class Session implements FrameSink, Publisher {
  readonly id: number;
  /** What clients and logs see: opaque, unique over all starts and machines. */
  readonly publicId = randomUUID();
  readonly peer: Peer & { readonly link: Link };
  state: 'greeting' | 'open' | 'closed' = 'greeting';
  principal: Principal;
  /** Whether anything came since the last look. */
  active = false;
  /** Bytes of payloads that were sent to its collector and that it has read and that the core does not know of yet. */
  assignedBytes = 0;
  /** Answers that may be large, one at a time. */
  readonly reads: ReadQueue;
  /** Requests to the broker that are answered later. */
  readonly backlog: Backlog;
  readonly #stream: Duplex;
  readonly #host: SessionHost;
  readonly #reader: FrameReader;
  readonly #inlet: Inlet;

  constructor(id: number, stream: Duplex, identity: PeerIdentity, host: SessionHost) {
    this.id = id;
    this.principal = {
      name: '',
      version: '',
      role: 'observer',
      namespace: 'default',
      peer: identity,
      collectorId: undefined,
      eventDomains: new Set(),
    };
    this.#stream = stream;
    this.#host = host;
    this.#reader = new FrameReader(host.limits.helloBytesMax);
    this.peer = host.relay.connect(id, stream);
    this.#inlet = new Inlet(host.relay, this, () => this.#resume());
    this.reads = new ReadQueue(this.peer.link, host.limits, {
      resume: () => this.#resume(),
      blocked: () => host.sessions.watchUnread(this),
    });
    this.backlog = new Backlog(host.limits.inboundBytesMax, () => this.#resume());
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', () => this.#gone('connection lost')); // ECONNRESET and EPIPE: the peer died
    stream.on('close', () => this.#gone('connection closed'));
    stream.on('end', () => this.#gone('hung up'));
  }

  /** Whether nothing of it is read, so that its silence means nothing. */
  get isHeldBack(): boolean {
    return this.#stream.isPaused();
  }

  send(frame: Buffer): void {
    if (this.state !== 'closed') this.peer.link.send(frame);
  }

  /** Answers a request; an answer that no frame can hold is refused instead. */
  reply(to: ReplyTo, outcome: Outcome): void {
    if (this.state === 'closed') return;
    const { id } = to;
    const frame =
      'encoded' in outcome
        ? encodeFrameWith([Kind.reply, id, 0], outcome.encoded)
        : encodeReply(id, 'result' in outcome ? { result: promised(to, outcome.result) } : outcome);
    const size = frame.length - 4;
    const { frameBytesMax } = this.#host.limits;
    if (size <= frameBytesMax) this.send(frame);
    else {
      const message = `The answer has ${size} bytes; a frame holds ${frameBytesMax}. Ask for less at once.`;
      this.send(encodeReply(id, fault('reply_too_large', message, { limit: frameBytesMax })));
    }
    this.reads.answered(to);
    this.backlog.answered(to);
  }

  /** Ends the session with a goodbye. The stream is given the time to send it. */
  end(reason: Fault<ClosingCode>): void {
    if (this.state === 'closed') return;
    this.peer.link.send(encodeFrame([Kind.goodbye, reason]));
    this.peer.link.finish();
    this.#stream.end();
    this.#gone(reason.code);
    // A peer that does not read must not keep its descriptor open.
    this.#host.later(endGraceMs, () => this.#stream.destroy());
  }

  frame(bytes: Buffer, start: number, end: number): boolean {
    const kind = bytes[start + 5]!;
    if (kind === Kind.publish && this.state === 'open') return this.#inlet.realtime(bytes, start, end) || this.#pause();
    if (this.#host.relay.holds.hold(this.peer, this.#inlet)) return this.#pause();
    if (kind === Kind.publishConfirmed && this.state === 'open')
      return this.#inlet.confirmed(bytes, start, end) || this.#pause();
    this.#inlet.flush();
    if (this.#inlet.isHeld || this.reads.isFull || this.backlog.isFull) return this.#pause();
    if ((bytes[start + 4]! & 0xf0) !== 0x90)
      throw new MalformedError('a frame must be an array of at most 15 elements');
    if (this.state === 'greeting') this.#greet(bytes, start, end);
    else this.#other(kind, bytes, start, end);
    return true;
  }

  #pause(): false {
    this.#stream.pause();
    return false;
  }

  #read(chunk: Buffer): void {
    if (this.state === 'closed') return;
    this.active = true;
    this.#readFrames(() => this.#reader.feed(chunk, this));
  }

  #resume(): void {
    if (this.state === 'closed' || !this.#stream.isPaused()) return;
    this.#stream.resume();
    this.#readFrames(() => this.#reader.resume(this));
  }

  #readFrames(frames: () => void): void {
    try {
      frames();
      this.#inlet.flush();
    } catch (error) {
      if (!(error instanceof MalformedError || error instanceof FrameTooLargeError)) throw error;
      this.#inlet.flush(); // what came before this frame was accepted
      const reason = fault(error.code, error.message);
      this.#host.sessions.protocolBroken(this, reason);
      this.end(reason);
    }
  }

  #greet(bytes: Buffer, start: number, end: number): void {
    const greeting = greet(bytes, start, end, this.principal.peer);
    if ('code' in greeting) return this.end(greeting);
    const { limits, version } = this.#host;
    this.state = 'open';
    this.principal = greeting;
    this.#reader.frameBytesMax = limits.frameBytesMax;
    this.send(encodeFrame([Kind.welcome, welcomeOf(version, this.publicId, limits)]));
    this.#host.sessions.opened(this);
  }

  #other(kind: number, bytes: Buffer, start: number, end: number): void {
    switch (kind) {
      case Kind.request:
        this.#host.request(this, readRequest(bytes, start, end), bytes, start, end);
        return;
      case Kind.reply:
      case Kind.chunk:
        checkAnswer(bytes, start, end, kind);
        this.#host.answer(this, bytes, start, end, kind === Kind.reply);
        return;
      case Kind.cancel:
        checkElement(bytes, start, end, start + 6, 1);
        if (!this.backlog.cancel(readId(bytes, start, end))) this.#host.cancel(this, readId(bytes, start, end));
        return;
      case Kind.ping:
        checkElement(bytes, start, end, start + 6, 1);
        this.send(encodeFrame([Kind.pong, readUint(bytes, start + 6, end).value]));
        return;
      case Kind.pong:
        checkElement(bytes, start, end, start + 6, 1);
        return;
      case Kind.goodbye:
        checkElement(bytes, start, end, start + 6, 1);
        this.#stream.end();
        this.#gone('said goodbye');
        return;
      default:
        throw new MalformedError(`frame kind ${kind} is not for clients to send`);
    }
  }

  /** What senders to a full peer wait with. */
  get holdable(): Inlet {
    return this.#inlet;
  }

  #gone(why: string): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.#reader.stop();
    this.reads.close();
    this.backlog.close();
    this.#host.relay.holds.remove(this.#inlet);
    this.#host.relay.disconnect(this.peer);
    if (!this.#stream.writableEnded) this.#stream.destroy();
    this.#host.closed(this, why);
  }
}

/** The result of a request that is answered once it is durable says how durable. */
const promised = ({ sync }: ReplyTo, result: unknown): unknown =>
  sync === undefined ? result : { ...(result as object), sync };
