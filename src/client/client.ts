/**
 * The client: a connection that comes back. After a loss it reconnects with full jitter, says hello again, takes its
 * subscriptions up again, and goes on with submits and waits, which are safe to repeat since a task keeps its id.
 */
import { type Fault, FaultError } from '../protocol/fault.ts';
import type { CollectorMethod, Method, Params, Reply, Welcome } from '../protocol/message.ts';
import type { Submitted, TaskDetail, TaskSubmit } from '../protocol/schema.ts';
import { uuidv7 } from '../protocol/uuid.ts';
import { Connection, ConnectionLostError, type IncomingCall, type Message } from './connection.ts';
import { type ConnectOptions, openStream } from './dial.ts';
import { type SubscribeOptions, Subscription } from './subscription.ts';

export interface CallOptions {
  /** Default 30,000; at most 300,000 for calls to collectors. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Gets the parts of a streamed reply. */
  readonly onChunk?: (body: unknown) => void;
}

export type ClientState = 'connected' | 'reconnecting' | 'closed';

/** Answers the calls that come to this session. Throw to refuse; yield to stream. */
export type CallHandler = (method: string, params: unknown, signal: AbortSignal) => unknown;

const backoffBaseMs = 100;
const backoffCapMs = 30_000;
const callMsDefault = 30_000;

/** Connects and says hello. Rejects with a TransportError (no broker, not allowed) or the FaultError of a refusal. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const client = new Client(options);
  await client.open();
  return client;
}

export class Client implements AsyncDisposable {
  readonly #options: ConnectOptions;
  readonly #subscriptions = new Set<Subscription>();
  readonly #patternUses = new Map<string, number>();
  readonly #running = new Map<number, AbortController>();
  readonly #stateListeners = new Set<(state: ClientState, why: Error | undefined) => void>();
  readonly #messageListeners = new Set<(message: Message) => void>();
  #connection: Connection | undefined;
  #connected = Promise.withResolvers<Connection>();
  #state: ClientState = 'reconnecting';
  #handler: CallHandler | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #attempts = 0;
  /** A connection that is there but not taken up again yet. */
  #redialing: Connection | undefined;
  /** Called after every reconnect, before anything else is sent. */
  onReconnect: (() => Promise<void>) | undefined;
  /** Called when a realtime publish was refused. Default: a process warning. */
  onRefused: (refusal: Fault) => void = ({ message, code }) => process.emitWarning(message, { code });

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#connected.promise.catch(() => {}); // whoever waits gets the error; nobody has to
  }

  get state(): ClientState {
    return this.#state;
  }

  /** What the broker said about itself. */
  get welcome(): Welcome | undefined {
    return this.#connection?.welcome;
  }

  /** Tells `listener` of each change of state; returns how to stop that. */
  onState(listener: (state: ClientState, why: Error | undefined) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Tells `listener` of every message of the session, subscribed to or sent to it directly. */
  onMessage(listener: (message: Message) => void): () => void {
    this.#messageListeners.add(listener);
    return () => this.#messageListeners.delete(listener);
  }

  /** The first connection; `connect` calls it. */
  async open(): Promise<void> {
    this.#use(await this.#dial());
  }

  /** Realtime: at most once, no ack. False when it could not even be sent because there is no connection. */
  publish(
    topic: string,
    body: unknown,
    options?: { readonly headers?: Readonly<Record<string, unknown>>; readonly confirm?: false },
  ): boolean;
  /** Processed: resolves once every matching subscriber has been handed it. Rejects when the connection is lost. */
  publish(
    topic: string,
    body: unknown,
    options: { readonly headers?: Readonly<Record<string, unknown>>; readonly confirm: true },
  ): Promise<{ subscribers: number }>;
  publish(
    topic: string,
    body: unknown,
    options: { readonly headers?: Readonly<Record<string, unknown>>; readonly confirm?: boolean } = {},
  ): boolean | Promise<{ subscribers: number }> {
    if (options.confirm === true)
      return this.#connected.promise.then((connection) => connection.publishConfirmed(topic, body, options.headers));
    return this.#connection?.publish(topic, body, options.headers) ?? false;
  }

  /** Messages that match any of the patterns, as an async iterable. Rejects with `bad_pattern` and the like. */
  async subscribe(patterns: string | readonly string[], options: SubscribeOptions = {}): Promise<Subscription> {
    const subscription = new Subscription(typeof patterns === 'string' ? [patterns] : patterns, options, (closed) =>
      this.#unsubscribe(closed),
    );
    // Listening starts before the broker is told, so that nothing falls between.
    this.#subscriptions.add(subscription);
    try {
      await this.request('topic.subscribe', { patterns: [...subscription.patterns] });
    } catch (error) {
      this.#subscriptions.delete(subscription);
      throw error;
    }
    for (const pattern of subscription.patterns)
      this.#patternUses.set(pattern, (this.#patternUses.get(pattern) ?? 0) + 1);
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
    const reply = await this.#repeat(
      'task.submit_batch',
      { tasks: tasks.map((task) => ({ ...task, id: task.id ?? uuidv7() })) },
      options,
    );
    return reply.outcomes;
  }

  /** Resolves when the task has ended, whichever way. Rejects with `deadline_exceeded` or `not_found`. */
  wait(id: string, options: CallOptions = {}): Promise<TaskDetail> {
    return this.#repeat('task.wait', { id }, options);
  }

  /** Answers the calls that come to this session. */
  serve(handler: CallHandler): void {
    this.#handler = handler;
  }

  /** Ends everything within 5 s: what was written leaves, subscriptions end, no reconnect. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    clearTimeout(this.#retryTimer);
    const connection = this.#connection;
    this.#connection = undefined;
    this.#become('closed', undefined);
    this.#connected.reject(new ConnectionLostError('The client is closed.'));
    for (const subscription of this.#subscriptions) subscription.finish();
    for (const controller of this.#running.values()) controller.abort();
    await connection?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #request(
    target: string,
    method: string,
    params: unknown,
    { timeoutMs = callMsDefault, signal, onChunk }: CallOptions,
  ): Promise<unknown> {
    const connection = this.#connection ?? (await this.#reconnected(method, timeoutMs));
    return connection.request(target, method, params, timeoutMs, { signal, chunk: onChunk });
  }

  /** For requests that may be said twice: goes on after a lost connection, until the time is over. */
  async #repeat<M extends Method>(method: M, params: Params<M>, options: CallOptions): Promise<Reply<M>> {
    const untilMs = performance.now() + (options.timeoutMs ?? callMsDefault);
    for (;;) {
      const leftMs = Math.max(1, untilMs - performance.now());
      try {
        return await this.request(method, params, { ...options, timeoutMs: leftMs });
      } catch (error) {
        const lost =
          error instanceof ConnectionLostError || (error instanceof FaultError && error.code === 'shutting_down');
        if (!lost || this.#state === 'closed' || this.#options.reconnect === false || performance.now() >= untilMs)
          throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.min(backoffBaseMs, leftMs)));
      }
    }
  }

  #reconnected(method: string, timeoutMs: number): Promise<Connection> {
    if (this.#state === 'closed') return Promise.reject(new ConnectionLostError('The client is closed.'));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new ConnectionLostError(`The broker was away for ${timeoutMs} ms, so ${method} was not sent.`)),
        timeoutMs,
      );
    });
    return Promise.race([this.#connected.promise, late]).finally(() => clearTimeout(timer));
  }

  async #dial(): Promise<Connection> {
    const {
      name = process.argv[1]?.split(/[\\/]/).at(-1) ?? 'node',
      version = '',
      role = 'operator',
      timeoutMs = 5000,
    } = this.#options;
    const stream = await openStream(this.#options, timeoutMs);
    return Connection.open(
      stream,
      { name, version, role },
      {
        message: (message) => this.#heard(message),
        call: (call) => void this.#answer(call),
        cancelled: (id) => this.#running.get(id)?.abort(),
        refused: (refusal) => this.onRefused(refusal),
        closed: (why) => this.#lost(why),
      },
      timeoutMs,
    );
  }

  #use(connection: Connection): void {
    this.#connection = connection;
    this.#attempts = 0;
    this.#become('connected', undefined);
    this.#connected.resolve(connection);
  }

  #lost(why: Error): void {
    if (this.#state === 'closed') return;
    this.#connection = undefined;
    for (const controller of this.#running.values()) controller.abort();
    if (this.#redialing !== undefined) return; // lost while it was being taken up again; that attempt tries once more
    if (this.#options.reconnect === false) {
      this.#connected = Promise.withResolvers();
      this.#connected.promise.catch(() => {});
      this.#connected.reject(why);
      for (const subscription of this.#subscriptions) subscription.finish();
      this.#become('closed', why);
      return;
    }
    this.#connected = Promise.withResolvers();
    this.#connected.promise.catch(() => {});
    this.#become('reconnecting', why);
    this.#retry();
  }

  #retry(): void {
    const waitMs = Math.random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** this.#attempts++);
    this.#retryTimer = setTimeout(() => void this.#again(), waitMs);
  }

  async #again(): Promise<void> {
    try {
      const connection = await this.#dial();
      if (this.#state === 'closed') return connection.destroy();
      this.#redialing = connection;
      const patterns = [...this.#patternUses.keys()];
      if (patterns.length > 0) await connection.request('broker', 'topic.subscribe', { patterns }, callMsDefault);
      this.#connection = connection;
      await this.onReconnect?.();
      if (connection.closed !== undefined) throw connection.closed;
      this.#redialing = undefined;
      this.#use(connection);
    } catch (error) {
      this.#redialing?.destroy();
      this.#redialing = undefined;
      this.#connection = undefined;
      if (this.#state === 'closed') return;
      if (error instanceof FaultError && !error.retry) {
        // The broker will never take this client: an other protocol version, say.
        this.#connected.reject(error);
        for (const subscription of this.#subscriptions) subscription.finish();
        this.#become('closed', error);
      } else this.#retry();
    }
  }

  #become(state: ClientState, why: Error | undefined): void {
    this.#state = state;
    for (const listener of this.#stateListeners) listener(state, why);
  }

  #heard(message: Message): void {
    for (const listener of this.#messageListeners) listener(message);
    for (const subscription of this.#subscriptions) subscription.offer(message);
  }

  async #unsubscribe(subscription: Subscription): Promise<void> {
    this.#subscriptions.delete(subscription);
    const unused: string[] = [];
    for (const pattern of subscription.patterns) {
      const uses = (this.#patternUses.get(pattern) ?? 1) - 1;
      if (uses > 0) this.#patternUses.set(pattern, uses);
      else {
        this.#patternUses.delete(pattern);
        unused.push(pattern);
      }
    }
    if (unused.length > 0 && this.#connection !== undefined)
      await this.request('topic.unsubscribe', { patterns: unused }).catch(() => {}); // the connection went meanwhile, and the patterns with it
  }

  async #answer({ id, method, params }: IncomingCall): Promise<void> {
    const connection = this.#connection;
    const controller = new AbortController();
    this.#running.set(id, controller);
    try {
      if (this.#handler === undefined)
        throw new FaultError({
          code: 'unsupported_operation',
          message: 'This session answers no calls.',
          category: 'configuration',
        });
      const result = await this.#handler(method, params, controller.signal);
      if (isStream(result)) {
        for await (const part of result) connection?.chunk(id, part);
        connection?.reply(id, 0, null);
      } else connection?.reply(id, 0, result);
    } catch (error) {
      const {
        code = 'handler_failed',
        category = 'internal',
        retry = false,
        context = {},
      } = error instanceof FaultError ? error : {};
      connection?.reply(id, 1, { code, message: (error as Error).message, category, retry, context });
    } finally {
      this.#running.delete(id);
    }
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
