/**
 * A collector at work: connects, registers, takes tasks within its credit, answers calls, and ends.
 *
 *     working ──drain──▶ draining ──nothing runs any more──▶ ended
 *        └──────────── halt, abandon ───────────────────────────▲
 */

import { onAbort } from '../client/abort.ts';
import { type Client, connect, type RequestNow } from '../client/client.ts';
import type { ConnectOptions } from '../client/dial.ts';
import { ConnectionLostError } from '../client/error.ts';
import type { Message } from '../client/incoming-frame.ts';
import { timerMsMax } from '../client/timer.ts';
import type { Assignment, AttemptCancel } from '../protocol/assignment.ts';
import type { Heartbeat } from '../protocol/collector-schema.ts';
import { FaultError } from '../protocol/fault.ts';
import { answerCall } from './calls.ts';
import { Collection } from './collection.ts';
import type { CollectorDefinition } from './define.ts';
import { HeartbeatTimer } from './heartbeat.ts';
import { notReclaimed, register, registrationOf } from './registration.ts';
import { RunningAttempts } from './running-attempts.ts';
import { isAlone, onTermination } from './signals.ts';

export interface RunOptions extends Pick<ConnectOptions, 'socket' | 'transport' | 'timeoutMs'> {
  readonly id?: string;
  /** Stops it, as SIGTERM does. */
  readonly signal?: AbortSignal;
  /** Whether the process is the collector's: SIGTERM and SIGINT drain it. Default true; false when it shares a process. */
  readonly signals?: boolean;
  /** How long running tasks may go on while draining, in ms. Default 30,000. */
  readonly drainMs?: number;
  /** Called when it is registered. */
  readonly onReady?: (id: string) => void;
}

type Life =
  | { readonly kind: 'working' }
  | { readonly kind: 'draining'; readonly force: NodeJS.Timeout | undefined }
  | { readonly kind: 'ended' };

/** How the end is carried out: with everything that belongs to it, or without waiting for anything. */
type Ending = 'orderly' | 'abandoned';

/** How long a collector that a broker started waits for a broker to come back. */
const orphanMs = 30_000;
/** The longest pause before a reconnect: short while it holds leases, so that it is back within the reclaim grace. */
const pauseMsMax = { holding: 1000, idle: 30_000 } as const;

export async function run(definition: CollectorDefinition, options: RunOptions): Promise<void> {
  await new CollectorRuntime(definition, options).live();
}

export class CollectorRuntime {
  readonly definition: CollectorDefinition;
  readonly id: string;
  readonly startedMonotonicMs = performance.now();
  readonly attempts: RunningAttempts;
  readonly collection: Collection;
  readonly #options: RunOptions;
  readonly #heartbeat = new HeartbeatTimer((usage) => this.#sendHeartbeat(usage));
  readonly #ended = Promise.withResolvers<Ending>();
  #life: Life = { kind: 'working' };
  #client!: Client;
  #orphan: NodeJS.Timeout | undefined;

  constructor(definition: CollectorDefinition, options: RunOptions) {
    this.definition = definition;
    this.#options = options;
    this.id = options.id ?? definition.id ?? process.env.DEYE_COLLECTOR_ID ?? `${definition.type}-${process.pid}`;
    const publish = (topic: string, body: unknown) => this.#client.publish(topic, body);
    this.attempts = new RunningAttempts(definition.operations, {
      publish,
      call: (...call) => this.#client.call(...call),
    });
    this.collection = new Collection(definition, {
      publish,
      stateChanged: () => this.#heartbeat.beat(),
      configurationChanged: (version, fields) => this.#publishConfiguration(version, fields),
    });
    this.#ended.promise.catch(() => {}); // it may end before anything awaits that
  }

  get state(): 'collecting' | 'stopped' | 'draining' {
    return this.#life.kind === 'working' ? this.collection.state : 'draining';
  }

  get lastHeartbeatAtMs(): number {
    return this.#heartbeat.answeredAtMs;
  }

  async live(): Promise<void> {
    const { signal, signals = true, drainMs = 30_000 } = this.#options;
    const client = await this.#connect();
    const stop = () =>
      this.#life.kind === 'working'
        ? this.drain('stopped by a signal', drainMs)
        : this.halt('stopped by a second signal');
    const releaseTermination = signals ? onTermination(stop) : undefined;
    const releaseSignal = signal === undefined ? undefined : onAbort(signal, stop);
    let ending: Ending = 'orderly';
    try {
      // A start that hangs does not keep it from ending.
      await Promise.race([this.collection.start({}), this.#ended.promise]);
      if (this.#life.kind === 'working') {
        await this.#register((method, params) => client.request(method, params));
        this.#options.onReady?.(this.id);
      }
      ending = await this.#ended.promise;
    } finally {
      this.#end(ending);
      this.#heartbeat.stop();
      clearTimeout(this.#orphan);
      const ownsProcess = signals && isAlone();
      releaseTermination?.();
      releaseSignal?.();
      const closed = this.#close(ending);
      if (ending === 'orderly') await closed;
      else if (ownsProcess) process.exit();
    }
  }

  /** Takes no new tasks, lets the running ones finish for `timeoutMs`, or for as long as it takes, and ends. */
  drain(reason: string, timeoutMs: number | undefined): void {
    const before = this.#life;
    if (before.kind === 'ended') return;
    if (before.kind === 'draining') clearTimeout(before.force);
    const force =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => this.attempts.dropAll('the time to drain is over'), Math.min(timeoutMs, timerMsMax));
    this.#life = { kind: 'draining', force };
    if (before.kind === 'draining') return; // only its time has changed
    const deregistered = this.#client.request('collector.deregister', { reason }, { timeoutMs: 2000 });
    void deregistered
      .catch(() => {}) // without a broker it gets no tasks
      .then(() => this.attempts.idle())
      .then(() => this.#end('orderly'));
  }

  /** Aborts what runs, hands in nothing more, and ends. */
  halt(reason: string): void {
    if (this.#life.kind === 'ended') return;
    this.attempts.dropAll('the collector stops at once');
    this.#client.request('collector.deregister', { force: true, reason }, { timeoutMs: 2000 }).catch(() => {}); // closing the connection does the same
    this.#end('orderly');
  }

  /** Ends without waiting for anything, and the process with it when it is the collector's own. */
  abandon(): void {
    if (this.#life.kind === 'ended') return;
    this.attempts.dropAll('the collector ends at once');
    this.#end('abandoned');
  }

  #end(ending: Ending): void {
    if (this.#life.kind === 'draining') clearTimeout(this.#life.force);
    this.#life = { kind: 'ended' };
    this.#ended.resolve(ending);
  }

  async #connect(): Promise<Client> {
    const { socket, transport, timeoutMs } = this.#options;
    const { version } = this.definition;
    const client = await connect({
      name: this.id,
      role: 'collector',
      reconnectPauseMsMax: () => (this.attempts.size > 0 ? pauseMsMax.holding : pauseMsMax.idle),
      ...(version === undefined ? {} : { version }),
      ...(socket === undefined ? {} : { socket }),
      ...(transport === undefined ? {} : { transport }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    this.#client = client;
    client.onMessage((message) => this.#onMessage(message));
    client.serve((method, params) => answerCall(this, method, params));
    client.onReconnect = async (request) => {
      await this.#register(request);
      // Back only to hand in what it holds.
      if (this.#life.kind === 'draining') await request('collector.deregister', { reason: 'draining' });
    };
    client.onState((state, why) => this.#connectionChanged(state, why));
    return client;
  }

  async #close(ending: Ending): Promise<void> {
    const stopped = (async () => this.definition.stop?.('the collector ends'))();
    try {
      if (ending === 'orderly') await stopped;
      else stopped.catch(() => {}); // nothing awaits it
    } finally {
      await this.#client.close();
    }
  }

  async #register(request: RequestNow): Promise<void> {
    const claimed = this.attempts.leases;
    const reply = await register(request, registrationOf(this.id, this.definition, this.#status(), claimed));
    this.attempts.drop(notReclaimed(claimed, reply.reclaimed), 'the attempt was given to another');
    this.#heartbeat.start(reply.heartbeat_ms);
  }

  #status(): Pick<Heartbeat, 'status' | 'status_reason'> {
    if (this.state === 'stopped') return { status: 'stopped', status_reason: 'collection is stopped' };
    if (this.state === 'draining') return { status: 'stopped', status_reason: 'draining' };
    const limitation = this.definition.limitation?.();
    return limitation === undefined
      ? { status: 'healthy', status_reason: '' }
      : { status: 'degraded', status_reason: limitation };
  }

  async #sendHeartbeat(usage: Pick<Heartbeat, 'cpu_percent' | 'rss_bytes'>): Promise<boolean> {
    if (this.#client.state !== 'connected') return false; // the reconnect registers again, leases and all
    const { leases } = this.attempts;
    try {
      const { lost } = await this.#client.request('collector.heartbeat', { ...usage, ...this.#status(), leases });
      this.attempts.drop(lost, 'its lease is lost');
      return true;
    } catch (error) {
      if (error instanceof ConnectionLostError || error instanceof FaultError) return false; // the next one, or the reconnect
      throw error;
    }
  }

  #onMessage({ topic, body }: Message): void {
    if (!topic.startsWith('control.tasks.') || this.#life.kind === 'ended') return;
    const message = body as Assignment | AttemptCancel;
    if (message.kind === 'assign') void this.attempts.run(message, this.#client);
    else if (message.kind === 'cancel') this.attempts.cancel(message);
  }

  #publishConfiguration(version: number, changed_fields: readonly string[]): void {
    const notice = { collector_id: this.id, version, changed_fields, at_ms: Date.now() };
    // Confirmed, so that a refusal comes back here; the change stands in any case.
    this.#client.publish(`control.collector.config.${this.id}`, notice, { confirm: true }).catch(() => {});
  }

  #connectionChanged(state: Client['state'], why: Error | undefined): void {
    clearTimeout(this.#orphan);
    if (state === 'closed' && this.#life.kind !== 'ended') {
      this.attempts.dropAll('the connection is closed');
      if (this.#life.kind === 'working')
        this.#ended.reject(why ?? new ConnectionLostError('The connection was closed.'));
    }
    if (state === 'reconnecting' && process.env.DEYE_SUPERVISED === '1')
      this.#orphan = setTimeout(() => this.#orphaned(), orphanMs);
  }

  /** Its parent process is gone for good. */
  #orphaned(): void {
    this.attempts.dropAll('no broker came back');
    this.#end('orderly');
  }
}
