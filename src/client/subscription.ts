/** A subscription as an async iterable: messages that were not consumed yet wait here, in bounded number. */
import { topicMatches } from '../protocol/topic.ts';
import type { Message } from './incoming-frame.ts';

export interface SubscribeOptions {
  /** Messages that match one of these are left out. */
  readonly exclude?: readonly string[];
  /** How many messages may wait to be consumed; beyond it the oldest is dropped and counted. Default 10,000. */
  readonly bufferMax?: number;
}

type Taker = (result: IteratorResult<Message>) => void;

export class Subscription implements AsyncIterableIterator<Message>, AsyncDisposable {
  readonly patterns: readonly string[];
  /** Messages lost because they were not consumed in time. */
  dropped = 0;
  readonly #exclude: readonly string[];
  readonly #bufferMax: number;
  readonly #unsubscribe: (subscription: Subscription) => Promise<void>;
  /** Never both hold something: a message goes to the taker that has waited longest. */
  readonly #buffer: Message[] = [];
  readonly #takers: Taker[] = [];
  #done = false;

  constructor(
    patterns: readonly string[],
    options: SubscribeOptions,
    unsubscribe: (subscription: Subscription) => Promise<void>,
  ) {
    this.patterns = patterns;
    this.#exclude = options.exclude ?? [];
    this.#bufferMax = options.bufferMax ?? 10_000;
    this.#unsubscribe = unsubscribe;
  }

  /** Called by the client for every message of the session. */
  deliver(message: Message): void {
    const matches = (pattern: string) => topicMatches(pattern, message.topic);
    if (this.#done || !this.patterns.some(matches) || this.#exclude.some(matches)) return;
    const taker = this.#takers.shift();
    if (taker !== undefined) return taker({ value: message, done: false });
    this.#buffer.push(message);
    if (this.#buffer.length > this.#bufferMax) {
      this.#buffer.shift();
      this.dropped++;
    }
  }

  /** May be called again before the last one resolved: messages go out in the order of the calls. */
  next(): Promise<IteratorResult<Message>> {
    const message = this.#buffer.shift();
    if (message !== undefined) return Promise.resolve({ value: message, done: false });
    if (this.#done) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => {
      this.#takers.push(resolve);
    });
  }

  /** Ends the iteration and unsubscribes. */
  async return(): Promise<IteratorResult<Message>> {
    if (!this.#done) {
      this.finish();
      await this.#unsubscribe(this);
    }
    return { value: undefined, done: true };
  }

  async close(): Promise<void> {
    await this.return();
  }

  /** Ends the iteration without a request to the broker. Every pending `next` resolves as done. */
  finish(): void {
    this.#done = true;
    this.#buffer.length = 0;
    for (const taker of this.#takers.splice(0)) taker({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
