/** Frames in and out, without a client in between. */
import type { Duplex } from 'node:stream';
import { encodeFrame, FrameReader, Kind } from '../../src/protocol/frame.ts';
import type { Welcome } from '../../src/protocol/hello.ts';
import type { Method, Params, Reply } from '../../src/protocol/message.ts';
import { decodeValue } from '../../src/protocol/msgpack.ts';

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly context: Readonly<Record<string, unknown>>;
}

export class Raw {
  readonly stream: Duplex;
  readonly frames: unknown[][] = [];
  closed = false;
  #wake: (() => void)[] = [];
  #nextId = 65_536;
  #consumed = 0;

  constructor(stream: Duplex) {
    this.stream = stream;
    const reader = new FrameReader(0xffff_ffff);
    stream.on('data', (chunk: Buffer) => {
      reader.feed(chunk, {
        frame: (bytes, start, end) => {
          this.frames.push(decoded(bytes.subarray(start + 4, end)));
          return true;
        },
      });
      this.#changed();
    });
    stream.on('error', () => this.#end());
    stream.on('close', () => this.#end());
    stream.on('end', () => this.#end());
  }

  send(...elements: unknown[]): this {
    this.stream.write(encodeFrame(elements));
    return this;
  }

  write(bytes: Buffer): this {
    this.stream.write(bytes);
    return this;
  }

  hello(role = 'operator'): this {
    return this.send(Kind.hello, { protocol: '1.0', name: 'raw', role });
  }

  async welcome(): Promise<Welcome> {
    const [, welcome] = await this.kind(Kind.welcome);
    return welcome as Welcome;
  }

  /** Sends a request and gives its id; the answer is for `reply` to fetch. */
  ask(method: string, params: unknown, target = 'broker', timeoutMs = 0): number {
    const id = this.#nextId++;
    this.send(Kind.request, id, target, method, params, timeoutMs);
    return id;
  }

  /** The result of the request, whose refusal is an error. */
  async reply(id: number): Promise<unknown> {
    const [, , status, body] = await this.next(([kind, one]) => kind === Kind.reply && one === id);
    if (status !== 0) throw new Error(`refused: ${JSON.stringify(body)}`);
    return body;
  }

  async refusal(id: number): Promise<Refusal> {
    const [, , status, body] = await this.next(([kind, one]) => kind === Kind.reply && one === id);
    if (status !== 1) throw new Error(`not refused: ${JSON.stringify(body)}`);
    return body as Refusal;
  }

  request<M extends Method>(method: M, params: Params<M>): Promise<Reply<M>> {
    return this.reply(this.ask(method, params)) as Promise<Reply<M>>;
  }

  refused(method: string, params: unknown, target = 'broker', timeoutMs = 0): Promise<Refusal> {
    return this.refusal(this.ask(method, params, target, timeoutMs));
  }

  register(id: string, more: Partial<Params<'collector.register'>> = {}): Promise<Reply<'collector.register'>> {
    const offers = { collector_id: id, collector_type: 't', operations: [{ name: 'work' }], ...more };
    return this.request('collector.register', offers);
  }

  /** Waits for a frame that fits and has not been consumed yet. */
  async next(fits: (frame: unknown[]) => boolean = () => true): Promise<unknown[]> {
    // What was looked at once is looked at again only after somebody consumed a frame.
    for (let at = 0, consumed = this.#consumed; ; ) {
      if (consumed !== this.#consumed) [at, consumed] = [0, this.#consumed];
      for (; at < this.frames.length; at++)
        if (fits(this.frames[at]!)) {
          this.#consumed++;
          return this.frames.splice(at, 1)[0]!;
        }
      if (this.closed) throw new Error(`closed without the frame; left: ${JSON.stringify(this.frames).slice(0, 500)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  kind(kind: number): Promise<unknown[]> {
    return this.next(([first]) => first === kind);
  }

  /** The body of the next message. */
  async message(): Promise<unknown> {
    return (await this.kind(Kind.publish))[2];
  }

  /** The reason of the goodbye, once the connection is closed. */
  async goodbye(): Promise<Refusal> {
    const [, reason] = await this.kind(Kind.goodbye);
    await this.ended();
    return reason as Refusal;
  }

  /** Answers when everything that was sent before has been read. */
  async pong(): Promise<void> {
    this.send(Kind.ping, 4711);
    await this.next(([kind, number]) => kind === Kind.pong && number === 4711);
  }

  async ended(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  #end(): void {
    this.closed = true;
    this.#changed();
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Bodies are forwarded unseen, so one that was mutated may be no value. */
function decoded(bytes: Buffer): unknown[] {
  try {
    return decodeValue(bytes) as unknown[];
  } catch {
    return ['undecodable'];
  }
}
