/** One session of a simulated client: frames in and out, and the requests that wait for their reply. */
import assert from 'node:assert/strict';
import { encodeFrame, FrameReader, Kind, requestIdMin } from '../../src/protocol/frame.ts';
import { decodeValue } from '../../src/protocol/msgpack.ts';
import type { Role } from '../../src/protocol/schema.ts';
import type { FarEnd } from '../twins/stream.ts';
import { outcomeOf, type Request, type RequestOutcome } from './request.ts';
import type { LifeWorld } from './world.ts';

/** A frame's elements after its kind. */
export type Elements = readonly unknown[];

export interface WireHandlers {
  readonly opened?: () => void;
  readonly published?: (topic: string, body: unknown) => void;
  readonly acked?: (sequence: number, subscribers: number, refusal: unknown) => void;
  readonly called?: (id: number, method: string, params: unknown) => void;
  readonly callCancelled?: (id: number) => void;
  readonly closed?: () => void;
}

interface Arriving {
  readonly kind: number;
  readonly elements: Elements;
  /** The position in the stream after it. */
  readonly end: number;
}

let kindNames: readonly string[] = [];

export class Wire {
  readonly name: string;
  readonly role: Role;
  readonly requests = new Map<number, Request>();
  /** What the broker said last, at the moment it was written. */
  goodbye: string | undefined;
  isOpen = false;
  isClosed = false;
  /** It said goodbye itself. */
  isLeaving = false;
  /** Pings go unanswered. */
  isSilent = false;
  readonly #world: LifeWorld;
  readonly #handlers: WireHandlers;
  readonly #reader = new FrameReader(1 << 26);
  readonly #far: FarEnd | undefined;
  #arriving: Arriving[] = [];
  #sentBytes = 0;
  #readBytes = 0;
  #nextId = requestIdMin;

  constructor(world: LifeWorld, name: string, role: Role, handlers: WireHandlers) {
    this.#world = world;
    this.name = name;
    this.role = role;
    this.#handlers = handlers;
    kindNames = kindNames.length > 0 ? kindNames : Object.keys(Kind);
    this.#far = world.connect(this, {
      sent: (chunk) => this.#sent(chunk),
      arrived: (bytes) => this.#arrived(bytes),
      closed: () => this.#ended(),
    });
    if (this.#far === undefined) this.isClosed = true;
  }

  get isConnected(): boolean {
    return this.#far !== undefined && !this.#far.isClosed;
  }

  /** Bytes the broker wrote that were not read here. */
  get unreadBytes(): number {
    return this.#sentBytes - this.#readBytes;
  }

  hello(protocol = '1.0'): void {
    this.send(Kind.hello, { protocol, name: this.name, version: '1', role: this.role });
  }

  send(kind: number, ...elements: unknown[]): void {
    if (!this.isConnected) return;
    if (kind === Kind.goodbye) this.isLeaving = true;
    this.#far!.write(encodeFrame([kind, ...elements]));
  }

  write(bytes: Buffer): void {
    this.#far?.write(bytes);
  }

  /** `then` gets the reply; nothing when the session ends first. */
  request(
    method: string,
    params: unknown,
    then?: (outcome: RequestOutcome) => void,
    options: Partial<Request> = {},
  ): number {
    const id = this.#nextId++;
    const { target = 'broker', timeoutMs = 0 } = options;
    if (!this.isConnected) return id;
    this.requests.set(id, { target, method, params, timeoutMs, then, chunks: 0, isReplied: false, ...options });
    this.#world.trace.note(`${this.name} > ${id} ${method} ${target === 'broker' ? '' : target}`);
    this.send(Kind.request, id, target, method, params, timeoutMs);
    return id;
  }

  cancel(id: number): void {
    this.#world.trace.note(`${this.name} > cancel ${id}`);
    this.send(Kind.cancel, id);
  }

  end(): void {
    this.#far?.end();
  }

  reset(): void {
    this.#far?.reset();
  }

  orphan(): void {
    this.#far?.orphan();
  }

  read(bytes: number, everyMs: number): void {
    this.#far?.read(bytes, everyMs);
  }

  /** The broker writes: what leaves it is checked at this moment, and not when it arrives. */
  #sent(chunk: Buffer): void {
    try {
      this.#reader.feed(chunk, { frame: (bytes, start, end) => this.#frameSent(bytes, start, end) });
    } catch (error) {
      this.#world.fail(error);
    }
  }

  #frameSent(bytes: Buffer, start: number, end: number): true {
    const [kind, ...elements] = decodeValue(bytes, start + 4, end) as [number, ...unknown[]];
    this.#sentBytes += end - start;
    assert(this.goodbye === undefined, `${this.name} gets a ${kindNames[kind]} after the goodbye`);
    this.#arriving.push({ kind, elements, end: this.#sentBytes });
    this.#world.trace.note(`${this.name} < ${kindNames[kind]} ${summaryOf(elements)} ${end - start}`);
    this.#world.ledger.sent(this, kind, elements);
    return true;
  }

  #arrived(bytes: number): void {
    this.#readBytes += bytes;
    for (let next = this.#arriving[0]; next !== undefined && next.end <= this.#readBytes; next = this.#arriving[0]) {
      this.#arriving.shift();
      this.#got(next.kind, next.elements);
    }
  }

  #got(kind: number, elements: Elements): void {
    const [first, second, third] = elements;
    const id = Number(first);
    switch (kind) {
      case Kind.welcome:
        this.isOpen = true;
        return this.#handlers.opened?.();
      case Kind.publish:
        return this.#handlers.published?.(String(first), second);
      case Kind.publishConfirmed:
        return this.#handlers.published?.(String(second), third);
      case Kind.ack:
        return this.#handlers.acked?.(id, Number(second), third);
      case Kind.request:
        return this.#handlers.called?.(id, String(third), elements[3]);
      case Kind.cancel:
        return this.#handlers.callCancelled?.(id);
      case Kind.reply: {
        const request = this.requests.get(id);
        this.requests.delete(id);
        return request?.then?.(outcomeOf(second, third));
      }
      case Kind.ping:
        return this.isSilent ? undefined : this.send(Kind.pong, id);
    }
  }

  #ended(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isOpen = false;
    this.#world.trace.note(`${this.name} closed`);
    this.requests.clear();
    this.#handlers.closed?.();
  }
}

function summaryOf([first, second, third]: Elements): string {
  const status = typeof second === 'string' || typeof second === 'number' ? second : '';
  return `${typeof first === 'object' ? '' : first} ${status} ${codeOf(third)}${codeOf(first)}`;
}

const codeOf = (value: unknown): string =>
  typeof value === 'object' && value !== null && 'code' in value ? String(value.code) : '';
