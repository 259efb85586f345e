/**
 * The broker: sessions on one side, the turn on the other, and one timer. It owns no file and no socket of its own;
 * streams are handed to `accept`, and what lasts goes through the store's port. `start.ts` puts it on a socket.
 */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type CoreState, type Input, newState, recover } from '../core/state.ts';
import type { StrategyName } from '../core/strategy.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import { encodeFrame, encodePublish, encodeReply, Kind } from '../protocol/frame.ts';
import type { Limits } from '../protocol/limits.ts';
import { decodeValue } from '../protocol/msgpack.ts';
import { statusTopic } from '../protocol/schema.ts';
import { uuidTimeMs } from '../protocol/uuid.ts';
import { Calls, type Party, type RequestHead } from '../relay/calls.ts';
import { Relay } from '../relay/relay.ts';
import { type Store, StoreError } from '../store/port.ts';
import type { Clock } from '../time/clock.ts';
import { BusyPoll } from '../time/busy-poll.ts';
import { Loop } from './loop.ts';
import { InternalCalls } from './internal-calls.ts';
import { Release } from './release.ts';
import { handle } from './requests.ts';
import { Session, type SessionHost } from './session.ts';
import { snapshot } from './snapshot.ts';
import type { SupervisorPort } from './supervisor-port.ts';
import { Turn } from './turn.ts';

export interface BrokerOptions {
  readonly limits: Limits;
  readonly store: Store;
  readonly clock: Clock;
  readonly version: string;
  readonly log: Logger;
  /** Where it can be reached, and what its store is; shown, not used. */
  readonly place: { readonly socket: string; readonly store: string };
  readonly strategy?: StrategyName;
  readonly seed?: number;
  /** A commit failed: the process must stop now and not pretend otherwise. */
  readonly fatal: (error: Error) => void;
}

const statusEveryMs = 1000;
const purgeEveryMs = 3_600_000;

export class Broker implements SessionHost {
  readonly limits: Limits;
  readonly version: string;
  readonly relay: Relay;
  readonly calls: Calls;
  readonly state: CoreState;
  readonly store: Store;
  readonly log: Logger;
  readonly place: BrokerOptions['place'];
  readonly sessions = new Map<number, Session>();
  readonly startedAtMs: number;
  supervisor: SupervisorPort | undefined;
  /** Sessions that broke the protocol, and reads of the store that failed. */
  errors = 0;
  /** The latest commit's time, in ms. */
  commitMs = 0;
  commits = 0;
  /** Resolves when the broker was asked to stop by a call. */
  readonly stopAsked: Promise<'graceful' | 'immediate'>;
  readonly #askStop: (type: 'graceful' | 'immediate') => void;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #own: InternalCalls;
  readonly #loop: Loop;
  readonly #busyPoll = new BusyPoll();
  #nextSession = 1;
  #stopping = false;
  #fatal: (error: Error) => void;

  /** Recovers what the store kept, and is ready. Rejects with a StoreError. */
  static async create(options: BrokerOptions): Promise<Broker> {
    const loaded = await options.store.load();
    const broker = new Broker(options);
    if (loaded.newestId !== undefined) broker.state.dedupeHorizonMs = uuidTimeMs(loaded.newestId);
    recover(broker.state, loaded.tasks, loaded.settings, loaded.nextSeq, broker.nowMs());
    broker.log.info({ component: 'store', tasks: loaded.tasks.length }, 'store recovered');
    broker.enqueue({ kind: 'tick' });
    return broker;
  }

  private constructor(options: BrokerOptions) {
    this.limits = options.limits;
    this.version = options.version;
    this.store = options.store;
    this.log = options.log;
    this.place = options.place;
    this.#clock = options.clock;
    this.#fatal = options.fatal;
    this.startedAtMs = this.nowMs();
    this.state = newState({
      seed: options.seed ?? Math.floor(Math.random() * 2 ** 31),
      limits: options.limits,
    });
    if (options.strategy !== undefined) this.state.strategy = options.strategy;
    this.calls = new Calls(options.limits);
    this.#loop = new Loop(options.clock, {
      pass: () => {
        this.#turn.run();
        this.relay.flush();
      },
      due: (nowMs) => {
        this.calls.expire(nowMs);
        if (this.state.deadlines.nextMs <= nowMs) this.#turn.enqueue({ kind: 'tick' });
      },
      nextMs: () => Math.min(this.state.deadlines.nextMs, this.calls.nextMs),
    });
    this.relay = new Relay(options.limits, {
      wake: () => this.#loop.schedule(),
      slow: (subscriber, graceMs) => this.#watchSlow(subscriber.session, graceMs),
    });
    const release = new Release(this);
    this.#turn = new Turn({
      state: this.state,
      store: options.store,
      nowMs: () => this.nowMs(),
      release: (outputs) => release.outputs(outputs),
      failed: (error) => this.#storeFailed(error),
      committed: (_records, tookMs) => {
        this.commitMs = tookMs;
        this.commits++;
      },
    });
    this.#own = new InternalCalls();
    const { promise, resolve } = Promise.withResolvers<'graceful' | 'immediate'>();
    this.stopAsked = promise;
    this.#askStop = resolve;
    this.#loop.every(statusEveryMs, () => {
      if (this.relay.hasSubscribers(statusTopic)) this.relay.publish(statusTopic, encodePublish(statusTopic, snapshot(this)));
    });
    this.#loop.every(purgeEveryMs, (nowMs) => this.#purge(nowMs));
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Gives the core something; it is stepped at the end of this loop pass. */
  enqueue(input: Input): void {
    this.#turn.enqueue(input);
    this.#loop.schedule();
  }

  /** Takes over a connected stream. Beyond the connection limit it is told so and closed. */
  accept(stream: Duplex): void {
    const session = new Session(this.#nextSession++, stream, this);
    if (this.#stopping) return session.end(fault('shutting_down', 'The broker is stopping.', { retry_after_ms: 1000 }));
    if (this.sessions.size >= this.limits.connectionsMax)
      return session.end(
        fault('busy', `${this.sessions.size} connections are open, the limit.`, {
          retry_after_ms: 1000,
          limit: this.limits.connectionsMax,
        }),
      );
    this.sessions.set(session.id, session);
    this.#loop.at(this.nowMs() + this.limits.handshakeMs, () => {
      if (session.phase === 'greeting')
        session.end(fault('hello_timeout', `No hello came within ${this.limits.handshakeMs} ms.`));
    });
  }

  broken(session: Session, reason: Fault): void {
    this.errors++;
    this.log.warn(
      { component: 'session', session: session.id, name: session.name, code: reason.code, reason: reason.message },
      'a session broke the protocol',
    );
  }

  opened(session: Session): void {
    this.log.debug(
      { component: 'session', session: session.id, name: session.name, role: session.role },
      'session opened',
    );
    this.#watchIdle(session);
  }

  closed(session: Session, why: string): void {
    if (!this.sessions.delete(session.id)) return;
    this.calls.disconnect(session.id);
    this.log.debug({ component: 'session', session: session.id, name: session.name, why }, 'session closed');
    this.enqueue({ kind: 'session_closed', session: session.id });
  }

  request(session: Session, head: RequestHead, bytes: Buffer, start: number, end: number): void {
    if (head.target === 'broker') {
      handle(this, session, head, bytes);
      return;
    }
    const refusal = this.#forward(session, head, bytes, start, end);
    if (refusal !== undefined) session.send(encodeReply(head.id, refusal));
    else this.#busyPoll.expect();
  }

  answer(session: Session, bytes: Buffer, start: number, end: number, last: boolean): void {
    this.calls.answer(bytes, start, end, session.id, last);
  }

  cancel(session: Session, id: number): void {
    if (!this.calls.cancel(session.id, id)) this.enqueue({ kind: 'cancel_wait', to: { session: session.id, id } });
  }

  /** A call of the broker's own to a collector. */
  async call(collectorId: string, method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    const callee = this.#sessionOfCollector(collectorId);
    if (callee === undefined) throw new Error(`collector ${collectorId} is not connected`);
    return this.#own.call(collectorId, method, params, timeoutMs, (frame, head, caller) => {
      const refusal = this.calls.forward(
        frame,
        0,
        frame.length,
        head,
        caller,
        { session: callee.id, link: callee.self.link },
        this.nowMs(),
      );
      if (refusal === undefined) this.#loop.schedule();
      return refusal;
    });
  }

  askStop(type: 'graceful' | 'immediate'): void {
    this.#askStop(type);
  }

  /** From now on: no new sessions, no new tasks, nothing handed out. What is in progress may finish. */
  stopAccepting(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.enqueue({ kind: 'stop' });
    const topic = 'control.broker.shutdown';
    this.relay.publish(topic, encodePublish(topic, { grace_ms: this.limits.stopGraceMs }));
  }

  /** Stops: attempts in progress may finish (graceful, up to `stopGraceMs`), everything is committed, everybody is told. */
  async stop(type: 'graceful' | 'immediate'): Promise<void> {
    this.stopAccepting();
    const untilMs = this.nowMs() + (type === 'graceful' ? this.limits.stopGraceMs : 0);
    await this.#until(() => this.state.inProgress === 0 || this.nowMs() >= untilMs);
    await this.#until(() => this.#turn.idle);
    const reason = fault('shutting_down', 'The broker stopped.', { retry_after_ms: 1000 });
    for (const session of [...this.sessions.values()]) session.end(reason);
    this.#loop.pass();
    await this.#until(() => this.#turn.idle);
    this.#loop.stop();
    await this.store.close();
  }

  /** One look every 10 ms: used on the way down only, where nothing is hot. */
  async #until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  #forward(session: Session, head: RequestHead, bytes: Buffer, start: number, end: number): Fault | undefined {
    const { target, method } = head;
    if (session.role === 'observer' && method !== 'health_check' && method !== 'get_capabilities')
      return fault('not_allowed', `A session in the role observer may not call ${method}.`, { method });
    const callee = target.startsWith('any:') ? this.#anyFor(target.slice(4)) : this.#sessionOfCollector(target);
    if (callee !== undefined)
      return this.calls.forward(bytes, start, end, head, session.self as Party, callee.self as Party, this.nowMs());
    if (target.startsWith('any:'))
      return fault('no_capable_collector', `No healthy collector offers ${target.slice(4)} now.`, { target });
    if (method !== 'health_check')
      return fault('not_found', `There is no collector "${target}". See: deye collectors ls`, { target });
    // The health of what is not there is an answer, not an error.
    const unknown = {
      status: 'unhealthy',
      uptime_seconds: 0,
      components: {
        [target]: { status: 'unknown', message: 'no such collector is connected', last_check_at_ms: this.nowMs() },
      },
      metrics: {},
      error_count: 0,
      last_heartbeat_at_ms: null,
    };
    session.send(encodeReply(head.id, { result: unknown }));
    return undefined;
  }

  #sessionOfCollector(id: string): Session | undefined {
    const collector = this.state.collectors.get(id);
    return collector === undefined ? undefined : this.sessions.get(collector.session);
  }

  /** The least loaded healthy collector that offers the operation. */
  #anyFor(operation: string): Session | undefined {
    const able = [...this.state.collectors.values()]
      .filter(({ status, offer }) => status === 'healthy' && offer.operations.some(({ name }) => name === operation))
      .sort((a, b) => a.tasks.size - b.tasks.size || (a.id < b.id ? -1 : 1));
    return able[0] === undefined ? undefined : this.sessions.get(able[0].session);
  }

  #watchIdle(session: Session): void {
    const { pingMs, idleMs } = this.limits;
    let silentSinceMs = this.nowMs();
    const look = (nowMs: number): void => {
      if (session.phase === 'closed') return;
      if (session.heard) silentSinceMs = nowMs;
      else if (nowMs - silentSinceMs >= idleMs)
        return session.end(fault('idle_timeout', `Nothing was heard for ${idleMs} ms, not even a pong.`));
      else session.send(encodeFrame([Kind.ping, Math.round(nowMs - this.startedAtMs)]));
      session.heard = false;
      this.#loop.at(nowMs + pingMs, look);
    };
    this.#loop.at(silentSinceMs + pingMs, look);
  }

  #watchSlow(id: number, graceMs: number): void {
    this.#loop.at(this.nowMs() + graceMs, () => {
      const session = this.sessions.get(id);
      if (session === undefined || !this.relay.isHoldingUp(session.self)) return;
      this.log.warn(
        { component: 'relay', session: id, name: session.name, queued_bytes: session.self.link.queuedBytes },
        'slow subscriber disconnected',
      );
      session.end(
        fault(
          'slow_consumer',
          `The session "${session.name}" held up a publisher for ${graceMs} ms without reading.`,
        ),
      );
    });
  }

  #purge(nowMs: number): void {
    // Goes straight to the store: nothing in the core knows ended tasks.
    this.store
      .commit([{ kind: 'purge', endedBeforeMs: nowMs - this.limits.retentionMs }])
      .catch((error: Error) => this.#storeFailed(error));
  }

  #storeFailed(error: Error): void {
    const code = error instanceof StoreError ? error.code : 'store_failed';
    this.log.error({ component: 'store', code, reason: error.message }, 'commit failed; the broker stops');
    const reason = fault('store_unwritable', `The broker stops: ${error.message}`, { cause: code });
    for (const session of [...this.sessions.values()]) session.end(reason);
    this.#fatal(error);
  }
}

/** Decodes the params of a request, which were checked when its head was read. */
export const decodeParams = (bytes: Buffer, head: RequestHead): unknown =>
  decodeValue(bytes, head.paramsStart, head.paramsEnd);
