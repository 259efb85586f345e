/**
 * The bytes that leave a connection. Everything written in one turn of the loop leaves in one write. When the broker
 * does not read, at most `outboundBytesMax` are kept, and one frame more: realtime publishes are then refused, and
 * what is answered waits in its order for the buffer to empty.
 */
import type { Duplex } from 'node:stream';

const outboundBytesMax = 16 * 1024 * 1024;

interface Waiting {
  send(): void;
  fail(why: Error): void;
}

export class OutboundBuffer {
  readonly #stream: Duplex;
  readonly #waiting: Waiting[] = [];
  #corked = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('drain', () => this.#drained());
  }

  get isFull(): boolean {
    return this.#stream.writableLength >= outboundBytesMax;
  }

  write(frame: Buffer): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      setImmediate(() => this.flush());
    }
    this.#stream.write(frame);
  }

  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#stream.uncork();
  }

  /** Calls `send`, which writes, as soon as there is room: now, or behind those that wait already. */
  whenRoom(send: () => void, fail: (why: Error) => void): void {
    if (this.#waiting.length === 0 && !this.isFull) send();
    else this.#waiting.push({ send, fail });
  }

  /** Nothing leaves any more: those that wait fail. */
  end(why: Error): void {
    for (const { fail } of this.#waiting.splice(0)) fail(why);
  }

  #drained(): void {
    while (this.#waiting.length > 0 && !this.isFull) this.#waiting.shift()!.send();
  }
}
