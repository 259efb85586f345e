/**
 * The twin of a connection: the broker's end is a stream of Node's, the far end is moved by the timeline. Bytes take a
 * while each way and keep their order; of what the far end has not read only a window is taken, as by a kernel.
 */
import { Duplex } from 'node:stream';
import type { Timeline } from './timeline.ts';

export interface StreamNature {
  readonly timeline: Timeline;
  readonly latencyMs: () => number;
  readonly windowBytes: number;
  /** Into how many pieces bytes to the broker are cut. */
  readonly pieces: () => number;
  /** Where in so many bytes they are cut. */
  readonly cutAt: (bytes: number) => number;
  /** Something thrown by the broker while it handled an event of the stream. */
  readonly fail: (error: unknown) => void;
}

export interface FarHandlers {
  /** The broker wrote; it arrives later. */
  readonly sent: (chunk: Buffer) => void;
  /** So many of the bytes that were sent have been read here. */
  readonly arrived: (bytes: number) => void;
  /** Nothing more comes. */
  readonly closed: () => void;
}

type Done = (error?: Error | null) => void;

/** The broker's end. */
class NearEnd extends Duplex {
  readonly #far: FarEnd;
  readonly #fail: (error: unknown) => void;

  constructor(far: FarEnd, fail: (error: unknown) => void) {
    super({ allowHalfOpen: false });
    this.#far = far;
    this.#fail = fail;
  }

  override emit(name: string | symbol, ...rest: unknown[]): boolean {
    try {
      return super.emit(name, ...rest);
    } catch (error) {
      this.#fail(error);
      return true;
    }
  }

  override _read(): void {
    this.#far.wanted();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#far.written(chunk, done);
  }

  override _final(done: Done): void {
    this.#far.ended();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#far.ended();
    done(error);
  }
}

export class FarEnd {
  readonly near: Duplex;
  /** How many bytes it reads at once, and how long it pauses then; Infinity and 0 for one that reads at once. */
  #appetite = { bytes: Number.POSITIVE_INFINITY, everyMs: 0 };
  readonly #nature: StreamNature;
  readonly #handlers: FarHandlers;
  /** Written by the broker and not read here. */
  #unread = 0;
  /** Arrived, and not read. */
  #here = 0;
  #arrivesAtMs = 0;
  #writeDone: Done | undefined;
  #outbox: Buffer[] = [];
  #sendsAtMs = 0;
  #mayPush = true;
  #isReading = false;
  #noMore: 'open' | 'coming' | 'here' = 'open';
  #closed = false;
  #isEnding = false;
  #isFlushing = false;

  constructor(nature: StreamNature, handlers: FarHandlers) {
    this.#nature = nature;
    this.#handlers = handlers;
    this.near = new NearEnd(this, nature.fail);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Sends bytes to the broker. */
  write(bytes: Buffer): void {
    if (this.#closed || this.#isEnding) return;
    let rest = bytes;
    for (let pieces = this.#nature.pieces(); pieces > 1 && rest.length > 1; pieces--) {
      const at = 1 + this.#nature.cutAt(rest.length - 1);
      this.#send(rest.subarray(0, at));
      rest = rest.subarray(at);
    }
    this.#send(rest);
  }

  /** Closes: what was written still goes, nothing is read any more. */
  end(): void {
    if (this.#closed) return;
    this.#isEnding = true;
    this.#close();
    this.#later(() => {
      if (this.near.destroyed) return;
      this.#flush();
      this.near.push(null);
    });
  }

  /** Is suddenly gone: what is under way is lost. */
  reset(): void {
    if (this.#closed) return;
    this.#outbox = [];
    this.#close();
    this.#later(() => this.near.destroy(new Error('connection reset')));
  }

  /** The broker's process died: what the kernel took still arrives. */
  orphan(): void {
    this.#outbox = [];
    this.ended();
  }

  /** Reads at most so many bytes at once, and then pauses; `bytes` 0 reads nothing until it is changed. */
  read(bytes: number, everyMs: number): void {
    this.#appetite = { bytes, everyMs };
    this.#take();
  }

  // what the broker's end tells

  wanted(): void {
    this.#mayPush = true;
    if (this.#outbox.length > 0) this.#flushLater();
  }

  written(chunk: Buffer, done: Done): void {
    if (this.#closed) return done(new Error('broken pipe'));
    this.#unread += chunk.length;
    this.#handlers.sent(chunk);
    const { timeline, latencyMs, windowBytes } = this.#nature;
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, timeline.nowMs + latencyMs());
    timeline.at(this.#arrivesAtMs, () => {
      this.#here += chunk.length;
      this.#take();
    });
    if (this.#unread <= windowBytes) done();
    else this.#writeDone = done;
  }

  ended(): void {
    if (this.#noMore !== 'open') return;
    this.#noMore = 'coming';
    const { timeline, latencyMs } = this.#nature;
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, timeline.nowMs + latencyMs());
    timeline.at(this.#arrivesAtMs, () => {
      this.#noMore = 'here';
      this.#take();
    });
  }

  #take(): void {
    if (this.#closed || this.#isReading) return;
    const bytes = Math.min(this.#here, this.#appetite.bytes);
    if (bytes > 0) {
      this.#here -= bytes;
      this.#unread -= bytes;
      this.#handlers.arrived(bytes);
      if (this.#unread <= this.#nature.windowBytes) this.#writeTaken();
    }
    if (this.#here > 0 && this.#appetite.bytes > 0) {
      this.#isReading = true;
      this.#nature.timeline.after(this.#appetite.everyMs, () => {
        this.#isReading = false;
        this.#take();
      });
    } else if (this.#here === 0 && this.#noMore === 'here') this.#close();
  }

  #writeTaken(): void {
    const done = this.#writeDone;
    this.#writeDone = undefined;
    done?.();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#here = 0;
    const done = this.#writeDone;
    this.#writeDone = undefined;
    if (done !== undefined) this.#later(() => done(new Error('broken pipe')));
    this.#handlers.closed();
  }

  #send(bytes: Buffer): void {
    this.#outbox.push(bytes);
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#later(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #later(run: () => void): void {
    const { timeline, latencyMs } = this.#nature;
    this.#sendsAtMs = Math.max(this.#sendsAtMs, timeline.nowMs + latencyMs());
    timeline.at(this.#sendsAtMs, run);
  }

  #flush(): void {
    while (this.#mayPush && this.#outbox.length > 0 && !this.near.destroyed)
      this.#mayPush = this.near.push(this.#outbox.shift());
  }
}
