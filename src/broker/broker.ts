/**
 * The broker: sessions on one side, the turn on the other, and one timer. It owns no file and no socket of its own;
 * streams are handed to `accept`, and what lasts goes through the store's port. `start.ts` puts it on a socket.
 */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { carryOver } from '../core/carry-over.ts';
import type { Input } from '../core/input.ts';
import type { step } from '../core/step.ts';
import { fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import type { RequestHead } from '../protocol/request.ts';
import type { Sync } from '../protocol/schema.ts';
import { Calls } from '../relay/calls.ts';
import { Relay } from '../relay/relay.ts';
import { type Loaded, type Store, StoreError } from '../store/port.ts';
import type { Clock } from '../time/clock.ts';
import type { Now } from '../time/now.ts';
import type { PeerIdentity } from '../transport/port.ts';
import { Announcements } from './announcements.ts';
import type { BrokerContext } from './broker-context.ts';
import { CallTargets } from './call-targets.ts';
import { Deliver } from './deliver.ts';
import { InternalCalls } from './internal-calls.ts';
import { Loop } from './loop.ts';
import { loadStored, type RecoveryReaders, recoveredState } from './recovered-state.ts';
import { handleRequest } from './requests.ts';
import { Retention } from './retention.ts';
import type { Session, SessionHost } from './session.ts';
import { Sessions } from './sessions.ts';
import { StoreUpkeep } from './store-upkeep.ts';
import { startStoreWatch } from './store-watch.ts';
import type { SupervisorPort } from './supervisor-port.ts';
import { TaskReads } from './task-reads.ts';
import { type Core, Turn } from './turn.ts';

interface BrokerOptions extends RecoveryReaders {
  readonly limits: Limits;
  readonly store: Store;
  readonly clock: Clock;
  readonly version: string;
  readonly log: Logger;
  readonly place: BrokerContext['place'];
  /** The strategy until one is set by a request. */
  readonly strategy?: string;
  readonly seed?: number;
  /** A commit failed: the process must stop now and not pretend otherwise. */
  readonly fatal: (error: Error) => void;
  /** Tests put a check around the core. */
  readonly step?: typeof step;
}

const statusEveryMs = 1000;

export class Broker implements SessionHost, BrokerContext {
  readonly limits: Limits;
  readonly version: string;
  readonly log: Logger;
  readonly place: BrokerContext['place'];
  readonly started: Now;
  readonly relay: Relay;
  readonly calls: Calls;
  readonly sessions: Sessions;
  readonly reads: TaskReads;
  readonly upkeep: StoreUpkeep;
  readonly retention: Retention;
  readonly sync: Sync;
  readonly commits = { count: 0, latestMs: 0 };
  supervisor: SupervisorPort | undefined;
  /** Resolves when a request asked the broker to stop. */
  readonly stopRequested: Promise<'graceful' | 'immediate'>;
  readonly newIdMs = (): number => Math.max(this.now().wallMs, this.#core.state.expiredBeforeMs);
  readonly requestStop: (type: 'graceful' | 'immediate') => void;
  readonly now = (): Now => this.#clock.now();
  readonly #core: Core;
  readonly #options: BrokerOptions;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #targets: CallTargets;
  readonly #internalCalls = new InternalCalls();
  readonly #loop: Loop;
  readonly #announcements: Announcements;
  #stopping = false;
  #ended = false;
  #failed = false;

  /** Recovers what the store kept, and is ready. Rejects with a StoreError. */
  static async create(options: BrokerOptions): Promise<Broker> {
    let broker: Broker | undefined;
    const loaded = await loadStored(options, (id) => broker?.bodyDamaged(id));
    broker = new Broker(options, loaded);
    return broker;
  }

  private constructor(options: BrokerOptions, loaded: Loaded) {
    const { limits, store, clock, log } = options;
    this.limits = limits;
    this.sync = loaded.sync;
    this.version = options.version;
    this.log = log;
    this.place = options.place;
    this.#clock = clock;
    this.started = clock.now();
    this.#options = options;
    this.#core = { state: recoveredState(options, loaded, this.started) };
    this.calls = new Calls(limits);
    this.#loop = new Loop(clock, {
      pass: () => {
        this.#turn.run();
        this.relay.flush();
      },
      due: (nowMs) => {
        this.calls.expire(nowMs);
        if (this.#turn.nextMs <= nowMs) this.#turn.enqueue({ kind: 'tick' });
      },
      nextMs: () => Math.min(this.#turn.nextMs, this.calls.nextMs),
    });
    this.relay = new Relay(limits, {
      nowMs: () => clock.now().monotonicMs,
      wake: () => this.#loop.schedule(),
      slow: (peer) => this.sessions.watchSlow(peer),
      stalled: (peer, sender) => this.#loop.after(limits.stallMs, () => this.relay.endStall(peer, sender)),
      taken: ({ session }) => this.#taken(session),
    });
    this.sessions = new Sessions(this, this.#loop, log);
    this.#targets = new CallTargets({
      core: this.#core,
      sessions: this.sessions,
      calls: this.calls,
      now: this.now,
    });
    const turned = { sessions: this.sessions, store, log, enqueue: (input: Input) => this.enqueue(input) };
    this.reads = new TaskReads(turned);
    this.upkeep = new StoreUpkeep({ ...turned, version: this.version, now: this.now });
    this.#turn = this.#makeTurn(options);
    const { promise, resolve } = Promise.withResolvers<'graceful' | 'immediate'>();
    this.stopRequested = promise;
    this.requestStop = resolve;
    this.#announcements = new Announcements(this);
    const watch = {
      store,
      after: (ms: number, run: () => void) => this.#loop.after(ms, run),
      failed: (error: Error) => this.#storeFailed(error),
      enqueue: (input: Input) => void (this.#ended || this.enqueue(input)),
    };
    this.retention = new Retention({ ...watch, limits, log, newestAtMs: loaded.newestAtMs, now: this.now });
    startStoreWatch({ ...watch, log, checked: () => this.#turn.lookForRoom() });
    this.#loop.every(statusEveryMs, () => {
      this.#announcements.everySecond();
      this.retention.look();
    });
    this.enqueue({ kind: 'tick' });
  }

  enqueue(input: Input): void {
    this.#turn.enqueue(input);
  }

  accept(stream: Duplex, identity: PeerIdentity): void {
    this.sessions.accept(stream, identity);
  }

  later(ms: number, run: () => void): void {
    this.#clock.later(ms, run);
  }

  /** The store cannot give a payload that it was given. */
  bodyDamaged(id: string): void {
    this.log.error({ component: 'store', task_id: id }, 'a payload was damaged on the disk, and is lost');
    this.enqueue({ kind: 'body_damaged', id, isUndelivered: false });
  }

  isRegistered(collectorId: string): boolean {
    return this.#core.state.collectors.has(collectorId);
  }

  /** The process of a registered collector. */
  collectorPid(id: string): number | undefined {
    return this.#core.state.collectors.get(id)?.registration.pid;
  }

  closed(session: Session, why: string): void {
    if (!this.sessions.closed(session, why)) return;
    this.calls.disconnect(session.id);
    // A stop ends no lease: collectors that come back to the next start reclaim what they hold.
    if (!this.#ended) this.enqueue({ kind: 'session_closed', session: session.id });
  }

  request(session: Session, head: RequestHead, bytes: Buffer, start: number, end: number): void {
    if (head.target === 'broker') return handleRequest(this, session, head, bytes);
    const answer = this.#targets.forward(session, head, bytes, start, end);
    if (answer === undefined) this.#clock.stayAwake();
    else session.reply({ session: session.id, id: head.id }, answer);
  }

  answer(session: Session, bytes: Buffer, start: number, end: number, last: boolean): void {
    this.calls.answer(bytes, start, end, session.id, last, (caller) => {
      const peer = this.sessions.get(caller.session)?.peer;
      return peer !== undefined && this.relay.stall(peer, session.holdable);
    });
  }

  cancel(session: Session, id: number): void {
    if (!this.calls.cancel(session.id, id)) this.enqueue({ kind: 'cancel_wait', to: { session: session.id, id } });
  }

  /** A call of the broker's own to a collector. */
  async call(collectorId: string, method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    const callee = this.#targets.session(collectorId);
    if (callee === undefined) throw new Error(`collector ${collectorId} is not connected`);
    return this.#internalCalls.call(collectorId, method, params, timeoutMs, (frame, head, caller) => {
      const nowMs = this.now().monotonicMs;
      const refusal = this.calls.forward(frame, 0, frame.length, head, caller, callee.peer, nowMs);
      if (refusal === undefined) this.#loop.schedule();
      return refusal;
    });
  }

  /** From now on: no new sessions, no new tasks, nothing handed out. What is in progress may finish. */
  stopAccepting(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.sessions.close(fault('shutting_down', 'The broker is stopping.', { retry_after_ms: 1000 }));
    this.enqueue({ kind: 'stop' });
    this.#announcements.stopping();
  }

  /** Stops: attempts in progress may finish (graceful, up to `stopGraceMs`), everything is committed, every session gets a goodbye. */
  async stop(type: 'graceful' | 'immediate'): Promise<void> {
    this.stopAccepting();
    const untilMs = this.now().monotonicMs + (type === 'graceful' ? this.limits.stopGraceMs : 0);
    await this.#loop.until(
      () => this.#core.state.operations.inProgress === 0 || this.now().monotonicMs >= untilMs || this.#turn.broken,
    );
    await this.#loop.until(() => this.#turn.idle);
    this.#ended = true;
    this.sessions.endAll(fault('shutting_down', 'The broker stopped.', { retry_after_ms: 1000 }));
    this.#loop.pass();
    await this.#loop.until(() => this.#turn.idle);
    this.#loop.stop();
    await this.#options.store.close();
  }

  /**
   * Throws the core's state away and folds it again from what the store kept, in a new epoch. Sessions, subscriptions
   * and calls live on; collectors keep the attempts that they hold.
   */
  async refold(): Promise<void> {
    do await this.#loop.until(() => this.#turn.idle);
    while (!this.#turn.idle);
    await this.#turn.refold(async () => {
      const old = this.#core.state;
      const loaded = await loadStored(this.#options, (id) => this.bodyDamaged(id));
      const now = this.now();
      return { state: recoveredState(this.#options, loaded, now), first: carryOver(old, now) };
    });
  }

  #makeTurn(options: BrokerOptions): Turn {
    const { sessions, relay, reads, log } = this;
    const deliver = new Deliver({ sessions, relay, reads, log, collectorGone: (id) => this.supervisor?.gone(id) });
    return new Turn({
      core: this.#core,
      store: options.store,
      now: this.now,
      wake: () => this.#loop.schedule(),
      deliver: (outputs) => deliver.outputs(outputs),
      failed: (error) => this.#storeFailed(error),
      committed: (_records, tookMs) => {
        this.commits.latestMs = tookMs;
        this.commits.count++;
      },
      ...(options.step === undefined ? {} : { step: options.step }),
    });
  }

  /** A session took bytes: its next large answer may be read, and its collector may get more work. */
  #taken(id: number): void {
    const session = this.sessions.get(id);
    if (session === undefined) return;
    session.reads.next();
    const { outboundBytesMax } = this.limits;
    if (session.assignedBytes <= outboundBytesMax / 4 || session.peer.link.queuedBytes > outboundBytesMax / 2) return;
    this.enqueue({ kind: 'bytes_read', session: id, bytes: session.assignedBytes });
    session.assignedBytes = 0;
  }

  #storeFailed(error: Error): void {
    if (this.#failed) return; // what else fails now fails for the same reason
    this.#failed = true;
    const code = error instanceof StoreError ? error.code : 'store_failed';
    this.log.error({ component: 'store', code, reason: error.message }, 'the store failed; the broker stops');
    const reason = fault('store_unwritable', `The broker stops: ${error.message}`, { cause: code });
    this.sessions.close(reason);
    this.sessions.endAll(reason);
    this.#options.fatal(error);
  }
}
