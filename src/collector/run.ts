/**
 * A collector at work: registers, takes tasks within its credit, renews leases on a timer of its own whatever the
 * handlers do, hands in each result until the broker has it, and drains when it is told to stop.
 */
import { hostname } from 'node:os';
import { type Client, connect } from '../client/client.ts';
import { ConnectionLostError, type Message } from '../client/connection.ts';
import type { ConnectOptions } from '../client/dial.ts';
import { FaultError } from '../protocol/fault.ts';
import type { Assignment, AttemptCancel, Reply } from '../protocol/message.ts';
import type { CollectorRegister } from '../protocol/schema.ts';
import { answerCall } from './calls.ts';
import type { CollectorDefinition, TaskContext } from './define.ts';
import { NonRetryableError, RetryAfterError, ExcludeMeError } from './define.ts';

export interface RunOptions extends Pick<ConnectOptions, 'socket' | 'transport' | 'timeoutMs'> {
  readonly id?: string;
  /** Stops it, as SIGTERM does. */
  readonly signal?: AbortSignal;
  /** Whether SIGTERM and SIGINT drain it. Default true; false when it shares a process. */
  readonly signals?: boolean;
  /** How long running tasks may go on while draining, in ms. Default 30,000. */
  readonly drainMs?: number;
  /** Told when it is registered. */
  readonly onReady?: (id: string) => void;
}

interface Held {
  readonly task: Assignment;
  readonly controller: AbortController;
}

/** How long a collector that a broker started waits for a broker to come back. */
const orphanMs = 30_000;
const registerRetryMs = 250;
const registerRetries = 40;

export async function run(definition: CollectorDefinition, options: RunOptions): Promise<void> {
  const worker = new Worker(definition, options);
  await worker.live();
}

export class Worker {
  readonly definition: CollectorDefinition;
  readonly id: string;
  readonly startedAtMs = Date.now();
  readonly held = new Map<string, Held>();
  state: 'collecting' | 'stopped' | 'draining' = 'collecting';
  completed = 0;
  failed = 0;
  configVersion = 1;
  lastHeartbeatAtMs = Date.now();
  readonly #options: RunOptions;
  readonly #stopped = Promise.withResolvers<void>();
  #client!: Client;
  #topic = '';
  #sequence = 0;
  #beat: NodeJS.Timeout | undefined;
  #orphan: NodeJS.Timeout | undefined;
  #idle: (() => void) | undefined;
  #cpu = process.cpuUsage();
  #cpuAtMs = performance.now();

  constructor(definition: CollectorDefinition, options: RunOptions) {
    this.definition = definition;
    this.#options = options;
    this.id = options.id ?? definition.id ?? process.env.DEYE_COLLECTOR_ID ?? `${definition.type}-${process.pid}`;
  }

  async live(): Promise<void> {
    const { socket, transport, timeoutMs, signal, signals = true } = this.#options;
    this.#client = await connect({
      name: this.id,
      role: 'collector',
      ...(this.definition.version === undefined ? {} : { version: this.definition.version }),
      ...(socket === undefined ? {} : { socket }),
      ...(transport === undefined ? {} : { transport }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    const client = this.#client;
    client.onMessage((message) => this.#heard(message));
    client.serve((method, params) => answerCall(this, method, params));
    client.onReconnect = () => this.#register();
    client.onState((state, why) => this.#connectionIs(state, why));
    const stop = () => void this.drain('asked to stop');
    if (signals) for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, stop);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.start({});
      await this.#register();
      if (signal?.aborted === true) stop();
      this.#options.onReady?.(this.id);
      await this.#stopped.promise;
    } finally {
      clearInterval(this.#beat);
      clearTimeout(this.#orphan);
      if (signals) for (const name of ['SIGTERM', 'SIGINT'] as const) process.off(name, stop);
      await this.definition.stop?.('the collector ends');
      await client.close();
    }
  }

  /** Takes no new tasks, lets the running ones finish within the drain time, and ends. A second call ends at once. */
  async drain(reason: string, drainMs = this.#options.drainMs ?? 30_000): Promise<void> {
    if (this.state === 'draining') return this.#abortAll();
    this.state = 'draining';
    await this.#client.request('collector.deregister', { reason }, { timeoutMs: 2000 }).catch(() => {}); // without a broker there is nobody to tell
    if (this.held.size > 0) {
      const timer = setTimeout(() => this.#abortAll(), drainMs);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      clearTimeout(timer);
    }
    this.#stopped.resolve();
  }

  /** Begins to collect; what it publishes goes out through this session. */
  async start(overrides: Readonly<Record<string, unknown>>): Promise<void> {
    await this.definition.start?.(overrides, { publish: (topic, body) => this.#client.publish(topic, body) });
  }

  /** Tells the broker at once that the state changed. */
  async setState(state: 'collecting' | 'stopped'): Promise<void> {
    this.state = state;
    await this.#heartbeat();
  }

  #status(): { status: 'healthy' | 'degraded' | 'stopped'; status_reason: string } {
    if (this.state === 'stopped') return { status: 'stopped', status_reason: 'collection is stopped' };
    // Back after a lost connection, only to hand in what it holds.
    if (this.state === 'draining') return { status: 'stopped', status_reason: 'draining' };
    const limitation = this.definition.limitation?.();
    return limitation === undefined
      ? { status: 'healthy', status_reason: '' }
      : { status: 'degraded', status_reason: limitation };
  }

  async #register(): Promise<void> {
    const {
      type,
      version = '0',
      operations,
      capabilities = [],
      eventDomains = [],
      labels = {},
      maxConcurrentTasks = 1,
      priorityLevels = [[0, 255]],
    } = this.definition;
    const offer: CollectorRegister = {
      collector_id: this.id,
      collector_type: type,
      version,
      hostname: hostname(),
      pid: process.pid,
      operations: Object.keys(operations).map((name) => ({ name })),
      capabilities: [...capabilities],
      event_domains: [...eventDomains],
      labels: { ...labels },
      max_concurrent_tasks: maxConcurrentTasks,
      priority_levels: priorityLevels.map(([low, high]) => [low, high]),
      ...this.#status(),
      leases: [...this.held.values()].map(({ task }) => ({ task_id: task.task_id, attempt: task.attempt })),
    };
    const reply = await this.#registerPatiently(offer);
    const kept = new Set(reply.kept.map(({ task_id }) => task_id));
    for (const [id] of this.held) if (!kept.has(id)) this.#drop(id, 'the attempt was given to another');
    this.#topic = reply.topic;
    if (this.state === 'draining') await this.#client.request('collector.deregister', { reason: 'draining' });
    clearInterval(this.#beat);
    // A little early, so that a busy moment does not make it late.
    this.#beat = setInterval(() => void this.#heartbeat(), reply.heartbeat_ms * 0.8);
  }

  /** An id may still be held by this collector's own lost connection; it is free as soon as the broker notices. */
  async #registerPatiently(offer: CollectorRegister): Promise<Reply<'collector.register'>> {
    for (let left = registerRetries; ; left--) {
      try {
        return await this.#client.request('collector.register', offer);
      } catch (error) {
        const mine =
          error instanceof FaultError &&
          error.code === 'id_taken' &&
          (error.context.pid === process.pid || process.env.DEYE_SUPERVISED === '1');
        if (!mine || left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, registerRetryMs));
      }
    }
  }

  async #heartbeat(): Promise<void> {
    const leases = [...this.held.values()].map(({ task }) => ({ task_id: task.task_id, attempt: task.attempt }));
    const nowMs = performance.now();
    const used = process.cpuUsage(this.#cpu);
    const cpuPercent = ((used.user + used.system) / 1000 / Math.max(1, nowMs - this.#cpuAtMs)) * 100;
    this.#cpu = process.cpuUsage();
    this.#cpuAtMs = nowMs;
    try {
      const said = {
        sequence: ++this.#sequence,
        leases,
        cpu_percent: cpuPercent,
        rss_bytes: process.memoryUsage.rss(),
        ...this.#status(),
      };
      const { lost } = await this.#client.request('collector.heartbeat', said);
      this.lastHeartbeatAtMs = Date.now();
      for (const { task_id, attempt } of lost)
        if (this.held.get(task_id)?.task.attempt === attempt) this.#drop(task_id, 'its lease is lost');
    } catch (error) {
      // Without a connection there is nobody to tell; the reconnect registers anew, leases and all.
      if (!(error instanceof ConnectionLostError || error instanceof FaultError)) throw error;
    }
  }

  #heard(message: Message): void {
    if (message.topic !== this.#topic && !message.topic.startsWith('control.tasks.')) return;
    const said = message.body as Assignment | AttemptCancel;
    if (said.kind === 'assign') void this.#work(said);
    else if (said.kind === 'cancel' && this.held.get(said.task_id)?.task.attempt === said.attempt)
      this.held.get(said.task_id)!.controller.abort(new Error(said.reason));
  }

  async #work(task: Assignment): Promise<void> {
    const controller = new AbortController();
    this.held.set(task.task_id, { task, controller });
    const context: TaskContext = {
      signal: controller.signal,
      publish: (topic, body) => this.#client.publish(topic, body),
      call: (target, method, params, options) => this.#client.call(target, method, params, options),
    };
    const { task_id, operation, attempt, payload, priority, metadata, correlation } = task;
    try {
      const handler = this.definition.operations[operation];
      if (handler === undefined) throw new ExcludeMeError(`This collector has no operation ${operation}.`);
      const result = await handler(
        { id: task_id, operation, attempt, payload, priority, metadata, correlation },
        context,
      );
      this.completed++;
      await this.#handIn(task, 'task.complete', { task_id, attempt, result: result ?? null });
    } catch (error) {
      this.failed++;
      await this.#handIn(task, 'task.fail', { task_id, attempt, ...failureOf(error) });
    }
    if (this.held.get(task_id)?.controller === controller) this.held.delete(task_id);
    if (this.held.size === 0) this.#idle?.();
  }

  /** Says it until the broker has answered, over reconnects too. A stale lease is an answer: the attempt was lost. */
  async #handIn(
    task: Assignment,
    method: 'task.complete' | 'task.fail',
    params: Parameters<Client['request']>[1],
  ): Promise<void> {
    for (;;) {
      if (this.held.get(task.task_id)?.task !== task) return; // dropped meanwhile
      try {
        await this.#client.request(method, params as never);
        return;
      } catch (error) {
        if (error instanceof ConnectionLostError && this.#client.state !== 'closed') {
          await new Promise((resolve) => setTimeout(resolve, registerRetryMs));
          continue;
        }
        if (error instanceof FaultError && (error.code === 'stale_lease' || error.code === 'not_registered')) return;
        if (method === 'task.fail' || this.#client.state === 'closed') return; // the lease runs out and says the rest
        throw error; // a result that cannot travel: the task fails with the reason
      }
    }
  }

  #drop(id: string, why: string): void {
    this.held.get(id)?.controller.abort(new Error(why));
    this.held.delete(id);
    if (this.held.size === 0) this.#idle?.();
  }

  #abortAll(): void {
    for (const id of [...this.held.keys()]) this.#drop(id, 'the collector stops');
  }

  #connectionIs(state: Client['state'], why: Error | undefined): void {
    clearTimeout(this.#orphan);
    if (state === 'closed' && this.state !== 'draining')
      this.#stopped.reject(why ?? new ConnectionLostError('The connection was closed.'));
    if (state !== 'reconnecting' || process.env.DEYE_SUPERVISED !== '1') return;
    this.#orphan = setTimeout(() => {
      this.#abortAll();
      this.#stopped.resolve();
    }, orphanMs);
  }
}

function failureOf(error: unknown): {
  error: { code: string; message: string };
  next: 'retry' | 'give_up' | 'elsewhere';
  retry_after_ms?: number;
} {
  const {
    name = 'Error',
    message = String(error),
    code,
  } = error instanceof Error
    ? (error as Error & { code?: unknown })
    : ({} as { name?: string; message?: string; code?: unknown });
  const described = { code: (typeof code === 'string' ? code : name).slice(0, 64), message: message.slice(0, 8192) };
  if (error instanceof NonRetryableError) return { error: described, next: 'give_up' };
  if (error instanceof ExcludeMeError) return { error: described, next: 'elsewhere' };
  if (error instanceof RetryAfterError)
    return { error: described, next: 'retry', retry_after_ms: Math.max(0, Math.round(error.afterMs)) };
  return { error: described, next: 'retry' };
}
