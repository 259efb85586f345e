/**
 * The client: a connection that comes back. After a loss it reconnects, subscribes again, and repeats submits and
 * reads, which is safe since a task keeps its id.
 */

import type { CollectorMethod } from '../protocol/collector-method.ts';
import { type Fault, FaultError, fault } from '../protocol/fault.ts';
import type { Welcome } from '../protocol/hello.ts';
import { limitTable } from '../protocol/limits.ts';
import type { Method, Params, Reply } from '../protocol/message.ts';
import type { Submitted, TaskDetail, TaskSubmit } from '../protocol/schema.ts';
import type { BodyName } from '../protocol/state.ts';
import { uuidv7 } from '../protocol/uuid.ts';
import { onAbort } from './abort.ts';
import { Connection } from './connection.ts';
import { streamOpener } from './dial.ts';
import { ConnectionLostError, isDeadline, isDeparture } from './error.ts';
import { type CallHandler, IncomingCalls } from './incoming-calls.ts';
import type { Message } from './incoming-frame.ts';
import type { CallOptions, ClientOptions, PublishOptions, TaskReadOptions } from './options.ts';
import type { Ack } from './pending-acks.ts';
import { type ClientState, ReconnectingConnection } from './reconnect.ts';
import { type SubscribeOptions, Subscription } from './subscription.ts';
import { Subscriptions } from './subscriptions.ts';
import { timerMsMax } from './timer.ts';

type StateListener = (state: ClientState, why: Error | undefined) => void;
/** A request over a connection that is not open to other requests yet. */
export type RequestNow = <M extends Method>(method: M, params: Params<M>) => Promise<Reply<M>>;

const reconnectPauseMsMaxDefault = 30_000;
const repeatPauseMs = 100;
const callMsDefault = limitTable.callMsDefault.value;
const patternsPerRequest = 1000;

/** Connects and opens a session. Rejects with a TransportError (no broker, not allowed), a ConfigurationError (of deye.yaml) or a FaultError. */
export async function connect(options: ClientOptions = {}): Promise<Client> {
  const client = new Client(options);
  await client.open();
  return client;
}

export class Client implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #openStream: ReturnType<typeof streamOpener>;
  readonly #link: ReconnectingConnection;
  readonly #subscriptions = new Subscriptions();
  readonly #calls = new IncomingCalls();
  readonly #stateListeners = new Set<StateListener>();
  readonly #messageListeners = new Set<(message: Message) => void>();
  /** Called after every reconnect with a way to send requests before all others. */
  onReconnect: ((request: RequestNow) => Promise<void>) | undefined;
  /** Called when a realtime publish was refused. Default: a process warning. */
  onRefused: (refusal: Fault) => void = ({ message, code }) => process.emitWarning(message, { code });

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#openStream = streamOpener(options);
    this.#link = new ReconnectingConnection({
      enabled: options.reconnect !== false,
      dial: () => this.#dial(),
      restore: (connection) => this.#restore(connection),
      pauseMsMax: options.reconnectPauseMsMax ?? (() => reconnectPauseMsMaxDefault),
      changed: (state, why) => this.#changed(state, why),
    });
  }

  get state(): ClientState {
    return this.#link.state;
  }

  /** The broker's version, session id and limits, while there is a connection. */
  get welcome(): Welcome | undefined {
    return this.#link.current?.welcome;
  }

  /** Calls `listener` after each change of state; returns how to stop that. */
  onState(listener: StateListener): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Calls `listener` with every message of the session, subscribed to or sent to it directly. */
  onMessage(listener: (message: Message) => void): () => void {
    this.#messageListeners.add(listener);
    return () => this.#messageListeners.delete(listener);
  }

  /** The first connection; `connect` calls it. */
  open(): Promise<void> {
    return this.#link.open();
  }

  /** Realtime: false when it was not sent, without a connection or with 16 MiB that the broker has not read. */
  publish(topic: string, body: unknown, options?: PublishOptions & { readonly confirm?: false }): boolean;
  /** Confirmed: resolves once every matching subscriber has been handed it. Rejects when the connection is lost. */
  publish(topic: string, body: unknown, options: PublishOptions & { readonly confirm: true }): Promise<Ack>;
  publish(topic: string, body: unknown, { headers, confirm }: PublishOptions = {}): boolean | Promise<Ack> {
    if (confirm === true)
      return this.#link.ready().then((connection) => connection.publishConfirmed(topic, body, headers));
    return this.#link.current?.publish(topic, body, headers) ?? false;
  }

  /** Messages that match any of the patterns, as an async iterable. Rejects with `bad_pattern` and the like. */
  async subscribe(patterns: string | readonly string[], options: SubscribeOptions = {}): Promise<Subscription> {
    const subscription = new Subscription(typeof patterns === 'string' ? [patterns] : patterns, options, (closed) =>
      this.#unsubscribe(closed),
    );
    // Counted before the request: no message is missed, and no closing subscription unsubscribes the pattern.
    this.#subscriptions.add(subscription);
    try {
      await this.#repeat('topic.subscribe', { patterns: [...subscription.patterns] }, {});
    } catch (error) {
      this.#subscriptions.remove(subscription);
      throw error;
    }
    return subscription;
  }

  /** A request to the broker itself. */
  async request<M extends Method>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Reply<M>> {
    return (await this.#request('broker', method, params, options)) as Reply<M>;
  }

  /** A call to a collector (by id), or to any healthy one that offers an operation (`any:operation`). */
  call(
    target: string,
    method: CollectorMethod | (string & {}),
    params: unknown = {},
    options: CallOptions = {},
  ): Promise<unknown> {
    return this.#request(target, method, params, options);
  }

  /** Submits one task; resolves once it is on disk. Repeated after a reconnect, which cannot make a second task of it. */
  submit(task: TaskSubmit, options: CallOptions = {}): Promise<Submitted> {
    return this.#repeat('task.submit', { ...task, id: task.id ?? uuidv7() }, options);
  }

  /** Submits up to 1,000 tasks in one commit; one outcome each, in their order. */
  async submitBatch(
    tasks: readonly TaskSubmit[],
    options: CallOptions = {},
  ): Promise<Reply<'task.submit_batch'>['outcomes']> {
    const identified = tasks.map((task) => ({ ...task, id: task.id ?? uuidv7() }));
    return (await this.#repeat('task.submit_batch', { tasks: identified }, options)).outcomes;
  }

  /**
   * Resolves when the task has ended, whichever way; with its result, unless `include` names others. A timeout may be
   * longer than the broker's own limit of a wait, or `Infinity`. Rejects with `deadline_exceeded` or `not_found`.
   */
  async wait(id: string, { include = ['result'], ...options }: TaskReadOptions = {}): Promise<TaskDetail> {
    const untilMs = performance.now() + (options.timeoutMs ?? callMsDefault);
    for (;;) {
      const leftMs = Math.max(1, untilMs - performance.now());
      const timeoutMs = Math.min(leftMs, limitTable.waitMsMax.value);
      try {
        return await this.#repeat('task.wait', { id, include: [...include] }, { ...options, timeoutMs });
      } catch (error) {
        const again = isDeadline(error) || (isDeparture(error) && this.state === 'reconnecting' && this.#reconnects);
        if (!again || performance.now() >= untilMs) throw error;
      }
    }
  }

  /** One task with its attempts; its bodies when `include` names them. */
  show(id: string, { include = [], ...options }: TaskReadOptions = {}): Promise<TaskDetail> {
    return this.#repeat('task.show', { id, include: [...include] }, options);
  }

  /** One body of a task; undefined for the result of one that has none. */
  async fetch(id: string, body: BodyName, options: CallOptions = {}): Promise<unknown> {
    return (await this.show(id, { ...options, include: [body] }))[body];
  }

  /** Answers the calls that come to this session. */
  serve(handler: CallHandler): void {
    this.#calls.handler = handler;
  }

  /** Ends everything within 5 s: what was written leaves, subscriptions end, no reconnect. */
  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #reconnects(): boolean {
    return this.#options.reconnect !== false;
  }

  async #request(
    target: string,
    method: string,
    params: unknown,
    { timeoutMs = callMsDefault, signal, onChunk }: CallOptions,
  ): Promise<unknown> {
    const untilMs = performance.now() + timeoutMs;
    const connection = this.#link.current ?? (await this.#ready(method, timeoutMs, signal));
    const leftMs = Math.max(1, untilMs - performance.now());
    return connection.request(target, method, params, leftMs, { signal, chunk: onChunk });
  }

  /** For idempotent requests: goes on over lost connections and a broker that stops, until the time is over. */
  async #repeat<M extends Method>(method: M, params: Params<M>, options: CallOptions): Promise<Reply<M>> {
    const untilMs = performance.now() + (options.timeoutMs ?? callMsDefault);
    for (;;) {
      const leftMs = Math.max(1, untilMs - performance.now());
      try {
        return await this.request(method, params, { ...options, timeoutMs: leftMs });
      } catch (error) {
        const ends = this.state === 'closed' || !this.#reconnects || performance.now() >= untilMs;
        if (!isDeparture(error) || ends) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.min(repeatPauseMs, leftMs)));
      }
    }
  }

  #ready(method: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const timer = setTimeout(
      () => reject(new ConnectionLostError(`The broker was away for ${timeoutMs} ms, so ${method} was not sent.`)),
      Math.min(timeoutMs, timerMsMax),
    );
    const release =
      signal === undefined
        ? undefined
        : onAbort(signal, () => reject(new FaultError(fault('cancelled', `The call of ${method} was cancelled.`))));
    this.#link.ready().then(resolve, reject);
    return promise.finally(() => {
      clearTimeout(timer);
      release?.();
    });
  }

  async #dial(): Promise<Connection> {
    const {
      name = process.argv[1]?.split(/[\\/]/).at(-1) ?? 'node',
      version = '',
      role = 'operator',
      timeoutMs = 5000,
    } = this.#options;
    const events = {
      message: (message: Message) => this.#deliver(message),
      call: (...call: Parameters<IncomingCalls['answer']>) => void this.#calls.answer(...call),
      cancelled: (id: number) => this.#calls.cancel(id),
      refused: (refusal: Fault) => this.onRefused(refusal),
      closed: (connection: Connection, why: Error) => {
        this.#calls.cancelAll();
        this.#link.lost(connection, why);
      },
    };
    return Connection.open(await this.#openStream(timeoutMs), { name, version, role }, events, timeoutMs);
  }

  async #restore(connection: Connection): Promise<void> {
    const now: RequestNow = async <M extends Method>(method: M, params: Params<M>) =>
      (await connection.request('broker', method, params, callMsDefault)) as Reply<M>;
    for (const patterns of this.#subscriptions.patternsBy(patternsPerRequest))
      await now('topic.subscribe', { patterns });
    await this.onReconnect?.(now);
  }

  #changed(state: ClientState, why: Error | undefined): void {
    if (state === 'closed') {
      this.#calls.cancelAll();
      this.#subscriptions.finishAll();
    }
    for (const listener of this.#stateListeners) listener(state, why);
  }

  #deliver(message: Message): void {
    for (const listener of this.#messageListeners) listener(message);
    this.#subscriptions.deliver(message);
  }

  async #unsubscribe(subscription: Subscription): Promise<void> {
    const unused = this.#subscriptions.remove(subscription);
    if (unused.length > 0 && this.state === 'connected')
      await this.request('topic.unsubscribe', { patterns: unused }).catch(() => {}); // the connection ended meanwhile, and the patterns with it
  }
}
