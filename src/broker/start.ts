/** Puts a broker on a socket: directory, lock, store, log, children; and takes all of it down again. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type Logger, pino } from 'pino';
import type { Limits } from '../protocol/limits.ts';
import { MemoryStore } from '../store/memory.ts';
import { SqliteStore } from '../store/sqlite.ts';
import { type Declared, Supervisor } from '../supervisor/supervisor.ts';
import { realClock } from '../time/clock.ts';
import { listen } from '../transport/listen.ts';
import { transportPair } from '../transport/pair.ts';
import { makePipeIdentity } from '../transport/pipe.ts';
import { ensurePrivateDirectory } from '../transport/private-directory.ts';
import { proveAsBroker } from '../transport/token.ts';
import { Broker } from './broker.ts';
import type { Configuration } from './configuration.ts';
import { lockStateDirectory } from './lock.ts';

export const version = (
  createRequire(import.meta.url)(import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json') as {
    version: string;
  }
).version;

/** How long the collectors of a broker that crashed are given to come back before new ones are started. */
const returnMs = 1500;

export interface StartOptions {
  readonly configuration: Configuration;
  /** `memory` remembers nothing and needs no state directory. */
  readonly store?: 'sqlite' | 'memory';
  /** Without a socket only `open()` leads in: the embedded broker. */
  readonly socket?: boolean;
  /** Starts the declared collectors, or leaves them to be started by command. Without it there are none. */
  readonly collectors?: boolean;
  readonly log?: Logger;
  /** The entry that runs a built-in collector as a child: a program and its first arguments. */
  readonly builtin?: readonly string[];
  readonly fatal?: (error: Error) => void;
}

export interface RunningBroker extends AsyncDisposable {
  readonly broker: Broker;
  /** Undefined for an embedded broker. */
  readonly socket: string | undefined;
  /** A new connection in this process. */
  open(): Duplex;
  /** Resolves once when somebody asked it to stop over the wire; `stop` is still the caller's to call. */
  readonly stopAsked: Promise<'graceful' | 'immediate'>;
  stop(type?: 'graceful' | 'immediate'): Promise<void>;
}

/** Rejects with AlreadyRunningError, TransportError, StoreError or ConfigurationError, and then leaves nothing behind. */
export async function startBroker(options: StartOptions): Promise<RunningBroker> {
  const undo = new UndoList();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run();
    throw error;
  }
}

async function start(options: StartOptions, undo: UndoList): Promise<RunningBroker> {
  const { configuration, store: kind = 'sqlite', socket: withSocket = true } = options;
  const { stateDir } = configuration;
  const log = options.log ?? pino({ level: 'silent' });
  const limits = withinDescriptors(configuration.limits, log);
  const onDisk = kind === 'sqlite';
  if (onDisk) ensurePrivateDirectory(stateDir);
  const lock = onDisk ? lockStateDirectory(stateDir) : undefined;
  undo.add(() => lock?.[Symbol.dispose]());
  const storePath = onDisk ? join(stateDir, 'deye.db') : 'memory';
  const store = onDisk ? new SqliteStore(storePath) : new MemoryStore();
  undo.add(() => store.close().catch(() => {})); // it may have failed already; the first error is the one that counts
  const clock = realClock();
  undo.add(() => clock[Symbol.dispose]());
  const pipe = withSocket && process.platform === 'win32' ? makePipeIdentity(stateDir) : undefined;
  const address = pipe?.address ?? configuration.socket;
  const broker = await Broker.create({
    limits,
    store,
    clock,
    log,
    version,
    place: { socket: withSocket ? address : 'none', store: storePath },
    ...(configuration.strategy === undefined ? {} : { strategy: configuration.strategy }),
    fatal: options.fatal ?? crash,
  });
  const accept = (stream: Duplex): void => {
    if (pipe === undefined) return broker.accept(stream);
    proveAsBroker(stream, pipe.secret, limits.handshakeMs).then(
      () => broker.accept(stream),
      (error: Error) => log.warn({ component: 'transport', err: error }, 'a connection without the token was closed'),
    );
  };
  const failed = (error: Error): void =>
    log.error({ component: 'transport', err: error }, 'the listening socket failed');
  const listener = withSocket ? await listen(address, { accept, failed }) : undefined;
  undo.add(() => listener?.close());
  lock?.announce({ pid: process.pid, socket: address, version, started_at_ms: broker.startedAtMs });
  const supervisor = options.collectors === undefined ? undefined : supervise(broker, address, options, log);
  broker.supervisor = supervisor;
  // After a crash the old children come back by themselves within a moment, with the tasks they still hold.
  const starting =
    options.collectors === true
      ? setTimeout(() => supervisor?.startAll(), lock?.afterCrash === true ? returnMs : 0)
      : undefined;
  log.info({ component: 'broker', pid: process.pid, socket: address, store: storePath, version }, 'broker ready');

  let stopping: Promise<void> | undefined;
  const stop = (type: 'graceful' | 'immediate' = 'graceful'): Promise<void> => {
    stopping ??= (async () => {
      log.info({ component: 'broker', type }, 'broker stops');
      clearTimeout(starting);
      const closed = listener?.close();
      // The children go first, while they can still hand in what they have done.
      broker.stopAccepting();
      await supervisor?.stopAll(type);
      await broker.stop(type);
      await closed;
      await undo.run();
      log.info({ component: 'broker' }, 'broker stopped');
    })();
    return stopping;
  };
  return {
    broker,
    socket: withSocket ? address : undefined,
    open() {
      const [mine, theirs] = transportPair();
      broker.accept(theirs);
      return mine;
    },
    stopAsked: broker.stopAsked,
    stop,
    [Symbol.asyncDispose]: () => stop('immediate'),
  };
}

/** Descriptors that are not connections: store, log, children, worker, and some air. */
const descriptorsReserved = 64;

/**
 * The connection limit, lowered to what the system lets this process open. Beyond its descriptors the system accepts
 * and closes in silence; below them the broker can say `busy`.
 */
function withinDescriptors(limits: Limits, log: Logger): Limits {
  if (process.platform !== 'linux') return limits;
  const most =
    Number(
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? Number.POSITIVE_INFINITY,
    ) - descriptorsReserved;
  if (limits.connectionsMax <= most) return limits;
  const connectionsMax = Math.max(8, most);
  log.warn(
    { component: 'broker', wanted: limits.connectionsMax, connections_max: connectionsMax },
    'the limit of open files lowers the connection limit; raise it with ulimit -n',
  );
  return { ...limits, connectionsMax };
}

/** What was made, to be unmade in the reverse order. (AsyncDisposableStack came with Node 24.) */
class UndoList {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step();
  }
}

function supervise(broker: Broker, socket: string, options: StartOptions, log: Logger): Supervisor {
  const { configuration, builtin = [], collectors: startsSoon = false } = options;
  const declared = configuration.collectors
    .filter(({ enabled }) => enabled)
    .map((one): Declared => {
      const [program = process.execPath, ...first] = builtin;
      const run =
        one.command === undefined
          ? { command: program, args: [...first, 'collectors', 'run', one.type, '--id', one.id] }
          : { command: one.command, args: one.args };
      return {
        ...one,
        ...run,
        env: { ...one.env, DEYE_SOCKET: socket, DEYE_COLLECTOR_ID: one.id, DEYE_SUPERVISED: '1' },
      };
    });
  return new Supervisor(declared, {
    log,
    startsSoon,
    registered: (id) => {
      const pid = broker.collectorPid(id);
      return pid === undefined ? undefined : { pid };
    },
    ask: (id, type) => broker.call(id, 'shutdown', { type, reason: 'the broker stops it' }, 2000),
  });
}

/** Nothing may be acknowledged after a failed commit, so the process must not go on. */
function crash(error: Error): void {
  queueMicrotask(() => {
    throw error;
  });
}
