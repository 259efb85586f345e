/**
 * Answers that may be large: a session's reads run one after the other, and the next one begins when most of the last
 * answer has been taken. So a client that sends many requests and reads no reply costs one answer, not all of them.
 */
import type { ReplyTo } from '../core/input.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Outbound } from '../relay/peer.ts';

interface Read {
  /** The request that it answers: this very one, since another may be refused for having its id. */
  readonly to: ReplyTo;
  readonly begin: () => void;
}

interface ReadQueueHooks {
  /** Requests of the session are read again. */
  readonly resume: () => void;
  /** Reads wait for the session to take what it has, where none did. */
  readonly blocked: () => void;
}

export class ReadQueue {
  readonly #link: Outbound;
  readonly #limits: Limits;
  readonly #hooks: ReadQueueHooks;
  #queue: Read[] = [];
  #current: Read | undefined;
  #isFull = false;
  #closed = false;
  /** Whether reads wait for the session to take what it has. */
  isBlocked = false;

  constructor(link: Outbound, limits: Limits, hooks: ReadQueueHooks) {
    this.#link = link;
    this.#limits = limits;
    this.#hooks = hooks;
  }

  /** Whether no more requests of the session are read for now; `resume` follows when half of the queue is done. */
  get isFull(): boolean {
    this.#isFull ||= this.#queue.length >= this.#limits.waitsMax;
    return this.#isFull;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** `begin` leads, sooner or later, to an answer to the request. */
  add(to: ReplyTo, begin: () => void): void {
    if (this.#closed) return;
    this.#queue.push({ to, begin });
    this.next();
  }

  /** A request was answered. */
  answered(to: ReplyTo): void {
    if (this.#current?.to !== to) return;
    this.#current = undefined;
    this.next();
  }

  /** Begins the next read, if it may: call when the link has taken bytes. */
  next(): void {
    if (this.#closed || this.#current !== undefined) return;
    const wasBlocked = this.isBlocked;
    this.isBlocked = this.#queue.length > 0 && this.#link.queuedBytes > this.#limits.outboundBytesMax / 8;
    if (this.isBlocked) {
      if (!wasBlocked) this.#hooks.blocked();
      return;
    }
    this.#current = this.#queue.shift();
    if (this.#isFull && this.#queue.length <= this.#limits.waitsMax / 2) {
      this.#isFull = false;
      this.#hooks.resume();
    }
    this.#current?.begin();
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
  }
}
