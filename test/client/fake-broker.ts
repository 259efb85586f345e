/** The broker's end of a connection, played by a test: real frames over an in-process pair. */
import type { Duplex } from 'node:stream';
import { type FaultCode, fault } from '../../src/protocol/fault.ts';
import { encodeFrame, FrameReader, Kind, protocolVersion } from '../../src/protocol/frame.ts';
import { decodeValue } from '../../src/protocol/msgpack.ts';
import { transportPair } from '../../src/transport/pair.ts';

export interface ReceivedRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly timeoutMs: number;
}

type Greeting = (connection: FakeConnection, at: number) => void;

export class FakeBroker {
  readonly connections: FakeConnection[] = [];
  /** Whether it cannot be reached now. */
  away = false;
  /** How often a client tried to reach it. */
  dials = 0;
  /** Answers the hello of the connection with this number, from 0. */
  greet: Greeting;
  #wake: (() => void)[] = [];

  constructor(greet: Greeting = (connection) => connection.welcome()) {
    this.greet = greet;
  }

  readonly transport = (): Duplex => {
    this.dials++;
    if (this.away) throw new Error('no broker');
    const [client, broker] = transportPair();
    const at = this.connections.length;
    const connection = new FakeConnection(broker);
    this.connections.push(connection);
    void connection.kind(Kind.hello).then(
      () => this.greet(connection, at),
      () => {}, // closed before its hello
    );
    for (const wake of this.#wake.splice(0)) wake();
    return client;
  };

  async connection(at: number): Promise<FakeConnection> {
    while (this.connections[at] === undefined) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.connections[at];
  }
}

export class FakeConnection {
  readonly stream: Duplex;
  readonly #frames: unknown[][] = [];
  #wake: (() => void)[] = [];
  #closed = false;

  constructor(stream: Duplex) {
    this.stream = stream;
    const reader = new FrameReader(1 << 26);
    stream.on('data', (chunk: Buffer) => {
      reader.feed(chunk, {
        frame: (bytes, start, end) => {
          this.#frames.push(decodeValue(bytes, start + 4, end) as unknown[]);
          return true;
        },
      });
      this.#changed();
    });
    for (const event of ['close', 'end', 'error'])
      stream.on(event, () => {
        this.#closed = true;
        stream.end();
        this.#changed();
      });
  }

  welcome(protocol = protocolVersion): void {
    const limits = { frame_bytes_max: 1 << 24, ping_ms: 15_000, idle_ms: 30_000 };
    this.send(Kind.welcome, { protocol, version: '0', session: '1', limits });
  }

  send(...elements: unknown[]): void {
    this.stream.write(encodeFrame(elements));
  }

  /** A frame whose body is byte 0xc1, which is never a value. `elements` come before it. */
  sendUndecodable(...elements: unknown[]): void {
    const frame = encodeFrame([...elements, null]);
    frame[frame.length - 1] = 0xc1;
    this.stream.write(frame);
  }

  goodbye(code: FaultCode, message = 'by the test'): void {
    this.send(Kind.goodbye, fault(code, message));
    this.stream.end();
  }

  reply({ id }: { id: number }, result: unknown): void {
    this.send(Kind.reply, id, 0, result);
  }

  refuse({ id }: { id: number }, code: FaultCode): void {
    this.send(Kind.reply, id, 1, fault(code, 'by the test'));
  }

  /** The next frame of this kind; others stay. */
  kind(kind: number): Promise<unknown[]> {
    return this.#next(([first]) => first === kind);
  }

  /** The next request of this method; others stay. */
  async request(method: string): Promise<ReceivedRequest> {
    const [, id, , , params, timeoutMs] = await this.#next(
      ([kind, , , name]) => kind === Kind.request && name === method,
    );
    return {
      id: id as number,
      method,
      params: params as Record<string, unknown>,
      timeoutMs: timeoutMs as number,
    };
  }

  /** Frames that came and were not taken. */
  get left(): readonly (readonly unknown[])[] {
    return this.#frames;
  }

  async #next(fits: (frame: unknown[]) => boolean): Promise<unknown[]> {
    for (;;) {
      const at = this.#frames.findIndex(fits);
      const [frame] = at < 0 ? [] : this.#frames.splice(at, 1);
      if (frame !== undefined) return frame;
      if (this.#closed) throw new Error(`closed without the frame; left: ${JSON.stringify(this.#frames)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
