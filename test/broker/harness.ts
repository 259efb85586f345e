/** A broker in this process and raw or whole clients of it; everything is taken down with `using`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type Logger, pino } from 'pino';
import { Broker } from '../../src/broker/broker.ts';
import type { CoreState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { type Client, connect } from '../../src/index.ts';
import { defaultLimits, type LimitName } from '../../src/protocol/limits.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/port.ts';
import { type Clock, realClock } from '../../src/time/clock.ts';
import { transportPair } from '../../src/transport/pair.ts';
import { Raw } from './raw.ts';
import { VirtualClock } from './virtual-clock.ts';

export { until } from '../until.ts';
export { Raw } from './raw.ts';

type Role = 'operator' | 'collector' | 'observer';

export interface Harness extends AsyncDisposable {
  readonly running: {
    readonly broker: Broker;
    open(): Duplex;
    stop(type?: 'graceful' | 'immediate'): Promise<void>;
  };
  /** The core's own state, to look at. */
  readonly state: CoreState;
  client(name: string, role?: Role): Promise<Client>;
  raw(): Raw;
  /** A session that has been welcomed. */
  session(role?: Role): Promise<Raw>;
}

export interface HarnessOptions {
  readonly store?: Store;
  /** Connections go over a Unix socket instead of a pair of streams in memory. */
  readonly socket?: boolean;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly fatal?: (error: Error) => void;
}

export async function harness(
  limits: Partial<Record<LimitName, number>> = {},
  { store = new MemoryStore(), socket = false, clock, log = pino({ level: 'silent' }), fatal }: HarnessOptions = {},
): Promise<Harness> {
  const undo: (() => unknown)[] = [];
  const own = clock === undefined ? realClock() : undefined;
  let state: CoreState | undefined;
  const broker = await Broker.create({
    limits: { ...defaultLimits, ...limits },
    store,
    clock: clock ?? own!,
    log,
    version: '0.0.0-test',
    place: { socket: 'none', store: 'memory' },
    seed: 1,
    fatal: fatal ?? ((error) => Promise.reject(error)),
    step: (core, ...rest) => {
      state = core;
      step(core, ...rest);
    },
  });
  const open = socket ? await listen(broker, undo) : () => openPair(broker);
  const clients: Client[] = [];
  let stopped: Promise<void> | undefined;
  const stop = (type: 'graceful' | 'immediate' = 'graceful') => {
    stopped ??= broker.stop(type);
    return stopped;
  };
  return {
    running: { broker, open, stop },
    get state() {
      return state!;
    },
    async client(name, role = 'operator') {
      const client = await connect({ transport: () => open(), name, role, reconnect: false });
      clients.push(client);
      return client;
    },
    raw: () => new Raw(open()),
    async session(role = 'operator') {
      const raw = new Raw(open()).hello(role);
      await raw.welcome();
      return raw;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.close();
      await Promise.all([stop('immediate'), clock instanceof VirtualClock ? clock.advance(1000) : undefined]);
      own?.[Symbol.dispose]();
      for (const step of undo.reverse()) step();
    },
  };
}

function openPair(broker: Broker): Duplex {
  const [mine, theirs] = transportPair();
  broker.accept(theirs, { scheme: 'memory', proof: 'process' });
  return mine;
}

async function listen(broker: Broker, undo: (() => unknown)[]): Promise<() => Duplex> {
  const directory = mkdtempSync(join(tmpdir(), 'deye-test-'));
  const path = join(directory, 'broker.sock');
  const server = createServer((stream) => broker.accept(stream, { scheme: 'unix', proof: 'directory' }));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  undo.push(
    () => rmSync(directory, { recursive: true, force: true }),
    () => server.close(),
  );
  return () => createConnection(path);
}
