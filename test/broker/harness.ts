/** A broker in this process and raw or whole clients of it; everything is taken down with `using`. */
import type { Duplex } from 'node:stream';
import type { RunningBroker } from '../../src/index.ts';
import { type Client, connect, startBroker } from '../../src/index.ts';
import { encodeFrame, FrameReader, Kind } from '../../src/protocol/frame.ts';
import type { LimitName } from '../../src/protocol/limits.ts';
import { decodeValue } from '../../src/protocol/msgpack.ts';

export interface Harness extends AsyncDisposable {
  readonly running: RunningBroker;
  client(name: string, role?: 'operator' | 'collector' | 'observer'): Promise<Client>;
  raw(): Raw;
}

export async function harness(limits: Partial<Record<LimitName, number>> = {}): Promise<Harness> {
  const running = await startBroker({ socket: false, stateDir: false, limits });
  const clients: Client[] = [];
  return {
    running,
    async client(name, role = 'operator') {
      const client = await connect({ transport: () => running.open(), name, role, reconnect: false });
      clients.push(client);
      return client;
    },
    raw: () => new Raw(running.open()),
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.close();
      await running.stop('immediate');
    },
  };
}

/** Frames in and out, without a client in between. */
export class Raw {
  readonly stream: Duplex;
  readonly frames: unknown[][] = [];
  closed = false;
  #wake: (() => void)[] = [];

  constructor(stream: Duplex) {
    this.stream = stream;
    const reader = new FrameReader(1 << 24);
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

  /** Waits for a frame that fits and has not been taken yet. */
  async next(fits: (frame: unknown[]) => boolean = () => true): Promise<unknown[]> {
    for (;;) {
      const at = this.frames.findIndex(fits);
      if (at >= 0) return this.frames.splice(at, 1)[0]!;
      if (this.closed) throw new Error(`closed without the frame; left: ${JSON.stringify(this.frames)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  kind(kind: number): Promise<unknown[]> {
    return this.next(([first]) => first === kind);
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

/** Waits for a condition, looking at it after every turn of the loop. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 20_000,
): Promise<void> {
  for (const startMs = Date.now(); !(await condition()); await new Promise((resolve) => setTimeout(resolve, 5)))
    if (Date.now() - startMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
}
