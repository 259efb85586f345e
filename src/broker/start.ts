/** Puts a broker on a socket: directory, lock, store, log, children; and takes all of it down again. */
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type Logger, pino } from 'pino';
import { migrateOldStore } from '../migration/migrate.ts';
import { openStore } from '../store/open.ts';
import { refuseStore } from '../store/own-directory.ts';
import type { Declared } from '../supervisor/child.ts';
import { type StartFailure, Supervisor } from '../supervisor/supervisor.ts';
import { realClock } from '../time/clock.ts';
import { formatAddress, parseAddress } from '../transport/address.ts';
import { TransportError } from '../transport/error.ts';
import { openMemory } from '../transport/memory.ts';
import { networkWarning } from '../transport/network-file-system.ts';
import type { Address, Listener, ListenHandler } from '../transport/port.ts';
import { ensurePrivateDirectory } from '../transport/private-directory.ts';
import { answers, listen } from '../transport/registry.ts';
import { Broker } from './broker.ts';
import type { BrokerInfo } from './broker-info.ts';
import type { Configuration } from './configuration.ts';
import { ConnectionGate, withinDescriptors } from './descriptors.ts';
import { lockStateDirectory } from './lock.ts';
import { StartLog } from './start-log.ts';
import { inStateDirectory } from './state-directory-error.ts';
import { UndoList } from './undo.ts';

export const version = (
  createRequire(import.meta.url)(import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json') as {
    version: string;
  }
).version;

interface StartOptions {
  readonly configuration: Configuration;
  /** For `openStore`. Default: the configuration's. */
  readonly store?: string;
  /** False: keeps nothing in the state directory and does not lock it. */
  readonly state?: boolean;
  /** Without a socket only `open()` leads in: the embedded broker. */
  readonly socket?: boolean;
  /** Starts the declared collectors, or leaves them to be started by command. Without it there are none. */
  readonly collectors?: boolean;
  readonly log?: Logger;
  /** The file that `log` writes to, for `deye broker logs`. */
  readonly logFile?: string;
  /** The entry that runs a built-in collector as a child: a program and its first arguments. */
  readonly builtin?: readonly string[];
  readonly fatal?: (error: Error) => void;
  /** Gets what the start does next. */
  readonly progress?: (stage: string) => void;
}

export interface RunningBroker extends AsyncDisposable {
  readonly broker: Broker;
  /** Undefined for an embedded broker. */
  readonly socket: string | undefined;
  /** Resolves when each declared collector was tried, with those that could not be started. */
  readonly collectorsTried: Promise<readonly StartFailure[]>;
  /** What its operator should know of the place it runs in. */
  readonly warnings: readonly string[];
  /** A new connection in this process. */
  open(): Duplex;
  /** Resolves once when a request over the wire asked it to stop; `stop` is still the caller's to call. */
  readonly stopRequested: Promise<'graceful' | 'immediate'>;
  stop(type?: 'graceful' | 'immediate'): Promise<void>;
}

/** Rejects with AlreadyRunningError, TransportError, StoreError or ConfigurationError, and then leaves nothing behind. */
export async function startBroker(options: StartOptions): Promise<RunningBroker> {
  const undo = new UndoList();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run().catch(() => {}); // the first error is the one that counts
    throw error;
  }
}

async function start(options: StartOptions, undo: UndoList): Promise<RunningBroker> {
  const { configuration, state = true, socket: withSocket = true } = options;
  const { stateDir } = configuration;
  const log = options.log ?? pino({ level: 'silent' });
  using starting = new StartLog(log, options.progress);
  const progress = starting.stage;
  const declared = options.collectors === undefined ? [] : configuration.collectors.filter(({ enabled }) => enabled);
  const limits = withinDescriptors(configuration.limits, declared.length, log);
  const address = parseAddress(configuration.socket);
  const place = {
    socket: withSocket ? formatAddress(address) : 'none',
    store: options.store ?? configuration.store,
    ...(options.logFile === undefined ? {} : { log: options.logFile }),
  };

  if (state) ensurePrivateDirectory(stateDir);
  const warning = state ? networkWarning(stateDir) : undefined;
  if (warning !== undefined) log.warn({ component: 'store' }, warning);
  const lock = state ? inStateDirectory(() => lockStateDirectory(stateDir)) : undefined;
  undo.add(() => lock?.[Symbol.dispose]());
  const announce = (life: BrokerInfo['state'], startedAtMs: number): void => {
    const { store: _, ...announced } = place;
    lock?.announce({ ...announced, version, started_at_ms: startedAtMs, state: life });
  };
  inStateDirectory(() => announce('starting', Date.now()));
  if (withSocket) await refuseTaken(address);

  if (state && options.store === undefined) {
    refuseStore(stateDir);
    const migrated = await migrateOldStore(stateDir, progress);
    if (migrated !== undefined)
      log.info(
        { component: 'store', ...migrated },
        'the store of an older deye was migrated; the old file may be deleted',
      );
  }
  progress('loading the store');
  const store = openStore(place.store, configuration);
  undo.add(() => store.close());
  const clock = realClock();
  undo.add(() => clock[Symbol.dispose]());
  const broker = await Broker.create({
    limits,
    store,
    clock,
    log,
    version,
    place,
    ...(configuration.strategy === undefined ? {} : { strategy: configuration.strategy }),
    fatal: options.fatal ?? crash,
    progress,
    found: starting.found,
  });
  let stopType: 'graceful' | 'immediate' = 'immediate';
  undo.add(() => broker.stop(stopType));

  progress(`listening on ${place.socket}`);
  const gate = new ConnectionGate(limits, (stream, identity) => broker.accept(stream, identity));
  const handler: ListenHandler = {
    accept: (stream, identity) => gate.admit(stream, identity),
    failed: (error) =>
      error instanceof TransportError
        ? log.warn({ component: 'transport', code: error.code }, error.message)
        : log.error({ component: 'transport', err: error }, 'the listening socket failed'),
    handshakeMs: limits.handshakeMs,
  };
  // What is in this process needs no descriptor.
  const inside: Address<'memory'> = { scheme: 'memory', name: randomUUID() };
  const listeners: Listener[] = [];
  let closing: Promise<unknown> | undefined;
  /** Streams that are open hold it up until the broker has ended them. */
  const closeAll = (): Promise<unknown> => {
    closing ??= Promise.all(listeners.map((listener) => listener.close()));
    return closing;
  };
  undo.add(() => void closeAll());
  listeners.push(await listen(inside, { ...handler, accept: (stream, identity) => broker.accept(stream, identity) }));
  if (withSocket) listeners.push(await listen(address, handler));
  announce('running', broker.started.wallMs);

  const supervisor = options.collectors === undefined ? undefined : supervise(broker, place.socket, options, log);
  broker.supervisor = supervisor;
  progress('starting the collectors');
  const collectorsTried =
    options.collectors === true && supervisor !== undefined ? supervisor.startAll() : Promise.resolve([]);
  log.info({ component: 'broker', pid: process.pid, ...place, version }, 'broker ready');

  let stopping: Promise<void> | undefined;
  const stop = (type: 'graceful' | 'immediate' = 'graceful'): Promise<void> => {
    stopping ??= (async () => {
      log.info({ component: 'broker', type }, 'broker stops');
      stopType = type;
      try {
        announce('stopping', broker.started.wallMs);
      } catch {} // its directory is full or gone; it stops all the same
      const closed = closeAll();
      // The children go first, while they can still hand in what they have done.
      broker.stopAccepting();
      await supervisor?.stopAll(type);
      await undo.run();
      await closed;
      log.info({ component: 'broker' }, 'broker stopped');
    })();
    return stopping;
  };
  return {
    broker,
    socket: withSocket ? place.socket : undefined,
    collectorsTried,
    warnings: [warning, broker.retention.warning].filter((text) => text !== undefined),
    open: () => openMemory(inside.name),
    stopRequested: broker.stopRequested,
    stop,
    [Symbol.asyncDispose]: () => stop('immediate'),
  };
}

/** Before the store is touched: a new epoch ends what its collectors hold. To listen is what decides. */
async function refuseTaken(address: Address): Promise<void> {
  if (await answers(address))
    throw new TransportError(
      'socket_in_use',
      `Another broker holds ${formatAddress(address)}. Choose another path with --socket, or stop that broker.`,
    );
}

function supervise(broker: Broker, socket: string, options: StartOptions, log: Logger): Supervisor {
  const { configuration, builtin = [], collectors: startsSoon = false, state = true } = options;
  const { limits, stateDir } = configuration;
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
    registeredPid: (id) => broker.collectorPid(id),
    requestStop: (id, type) => broker.call(id, 'shutdown', { type, reason: 'the broker stops it' }, 2000),
    recordsFile: state ? join(stateDir, 'children.json') : undefined,
    lineBytesMax: limits.outputLineBytesMax,
    reclaimMs: limits.reclaimGraceMs,
    requestGraceMs: limits.stopGraceMs,
  });
}

/** Nothing may be acknowledged after a failed commit, so the process must not go on. */
function crash(error: Error): void {
  queueMicrotask(() => {
    throw error;
  });
}
