/** A subscription as an async iterable: what came and was not taken yet waits here, in bounded number. */
import { topicMatches } from '../protocol/topic.ts';
import type { Message } from './connection.ts';

export interface SubscribeOptions {
  /** Messages that match one of these are left out. */
  readonly exclude?: readonly string[];
  /** How many messages may wait to be taken; beyond it the oldest is dropped and counted. Default 10,000. */
  readonly bufferMax?: number;
}

export class Subscription implements AsyncIterableIterator<Message>, AsyncDisposable {
  readonly patterns: readonly string[];
  /** Messages lost because they were not taken in time. */
  dropped = 0;
  readonly #exclude: readonly string[];
  readonly #bufferMax: number;
  readonly #closed: (subscription: Subscription) => Promise<void>;
  #buffer: Message[] = [];
  #taker: ((result: IteratorResult<Message>) => void) | undefined;
  #done = false;

  constructor(
    patterns: readonly string[],
    options: SubscribeOptions,
    closed: (subscription: Subscription) => Promise<void>,
  ) {
    this.patterns = patterns;
    this.#exclude = options.exclude ?? [];
    this.#bufferMax = options.bufferMax ?? 10_000;
    this.#closed = closed;
  }

  /** Called by the client for every message of the session. */
  offer(message: Message): void {
    if (
      !this.patterns.some((pattern) => topicMatches(pattern, message.topic)) ||
      this.#exclude.some((pattern) => topicMatches(pattern, message.topic))
    )
      return;
    if (this.#taker !== undefined) {
      this.#taker({ value: message, done: false });
      this.#taker = undefined;
      return;
    }
    if (this.#buffer.length >= this.#bufferMax) {
      this.#buffer.shift();
      this.dropped++;
    }
    this.#buffer.push(message);
  }

  next(): Promise<IteratorResult<Message>> {
    const first = this.#buffer.shift();
    if (first !== undefined) return Promise.resolve({ value: first, done: false });
    if (this.#done) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => {
      this.#taker = resolve;
    });
  }

  /** Ends the iteration and takes the patterns back. */
  async return(): Promise<IteratorResult<Message>> {
    if (!this.#done) {
      this.finish();
      await this.#closed(this);
    }
    return { value: undefined, done: true };
  }

  async close(): Promise<void> {
    await this.return();
  }

  /** Ends the iteration without a word to the broker. */
  finish(): void {
    this.#done = true;
    this.#buffer = [];
    this.#taker?.({ value: undefined, done: true });
    this.#taker = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
