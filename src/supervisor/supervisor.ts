/**
 * Looks after the collectors that the configuration declares: starts each as a child process, restarts it with
 * backoff, gives up on a crash loop or a program that is not there (quarantine), stops by request, then SIGTERM, then
 * SIGKILL. What a child writes goes to the log with its name on it.
 */
import type { ChildProcess } from 'node:child_process';
import type { Logger } from 'pino';
import type { CollectorView } from '../protocol/collector-schema.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import {
  type Child,
  type ChildState,
  type Declared,
  explainFailure,
  newChild,
  spawnDeclared,
  viewOf,
} from './child.ts';
import { endsWithin, pause, terminate } from './end.ts';
import { lookFor } from './identity.ts';
import { ChildRecords } from './records.ts';

export interface SupervisorOptions {
  readonly log: Logger;
  /** Whether `startAll` follows. */
  readonly startsSoon: boolean;
  /** The pid of the collector that is registered under this id now. */
  readonly registeredPid: (id: string) => number | undefined;
  /** Requests the collector to shut down; rejects when it cannot be reached. */
  readonly requestStop: (id: string, type: 'graceful' | 'immediate') => Promise<unknown>;
  /** Where the running children are written down. Undefined: nowhere. */
  readonly recordsFile?: string | undefined;
  readonly lineBytesMax: number;
  /** How long a process of an earlier broker has to register, in ms. */
  readonly reclaimMs: number;
  /** How long a child has after the request to stop gracefully, and after SIGTERM, in ms. */
  readonly requestGraceMs: number;
  readonly termGraceMs?: number;
}

/** A declared collector that could not be started. */
export interface StartFailure {
  readonly collector_id: string;
  readonly reason: string;
}

const backoffCapMs = 60_000;
const immediateGraceMs = 1000;
const lookEveryMs = 50;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children: Map<string, Child>;
  readonly #records: ChildRecords;

  constructor(declared: readonly Declared[], options: SupervisorOptions) {
    this.#options = options;
    this.#records = new ChildRecords(options.recordsFile, (error) =>
      options.log.warn({ component: 'supervisor', err: error }, 'the running children cannot be written down'),
    );
    const [state, reason] = options.startsSoon
      ? (['starting', 'about to be started'] as const)
      : (['stopped', 'not started: the broker was started without collectors'] as const);
    this.#children = new Map(declared.map((one) => [one.id, newChild(one, state, reason)]));
  }

  has(id: string): boolean {
    return this.#children.has(id);
  }

  /**
   * Starts every declared collector, except those that have come back by themselves, and ends what an earlier broker
   * left of collectors that are declared no more. Resolves with those that could not be started.
   */
  async startAll(): Promise<StartFailure[]> {
    for (const id of this.#records.ids()) if (!this.#children.has(id)) void this.#endOrphan(id);
    await Promise.all([...this.#children.values()].map((child) => this.#begin(child)));
    return [...this.#children.values()]
      .filter(({ state }) => state === 'quarantined' || state === 'restarting')
      .map(({ declared: { id }, reason }) => ({ collector_id: id, reason }));
  }

  start(id: string): Fault | undefined {
    const child = this.#children.get(id)!;
    if (child.state === 'running' || child.state === 'starting' || child.state === 'stopping')
      return fault('wrong_state', `Collector ${id} is ${child.state}.`, { collector_id: id, state: child.state });
    clearTimeout(child.timer);
    child.restartsMs = [];
    void this.#begin(child);
    return undefined;
  }

  stop(id: string): Fault | undefined {
    const child = this.#children.get(id)!;
    if (child.state === 'stopped' || child.state === 'stopping')
      return fault('wrong_state', `Collector ${id} is ${child.state} already.`, {
        collector_id: id,
        state: child.state,
      });
    void this.#end(child, 'stopped by an operator', 'graceful');
    return undefined;
  }

  /** Its session ended. A child of our own is watched as a process; one of an earlier broker is not. */
  gone(id: string): void {
    const child = this.#children.get(id);
    if (child?.inheritedPid === undefined || child.state !== 'running') return;
    child.inheritedPid = undefined;
    this.#restart(child, 'it went away');
  }

  absent(registered: ReadonlySet<string>): CollectorView[] {
    return [...this.#children.values()].filter(({ declared }) => !registered.has(declared.id)).map(viewOf);
  }

  /** Stops every child. Immediate gives a running task no time. */
  async stopAll(type: 'graceful' | 'immediate'): Promise<void> {
    const running = [...this.#children.values()].filter(({ state }) => state !== 'stopped');
    await Promise.all(running.map((child) => this.#end(child, 'the broker stops', type)));
  }

  /** Resolves as soon as its program runs, could not be started, or waits for one of an earlier broker. */
  async #begin(child: Child): Promise<void> {
    if (this.#takeBack(child)) return;
    this.#set(child, 'starting', '');
    const old = this.#records.get(child.declared.id);
    const found = old === undefined ? 'gone' : lookFor(old);
    if (old === undefined || found === 'gone' || found === 'other') return this.#spawn(child);
    void this.#waitForOld(child, old.pid, found === 'same');
  }

  #takeBack(child: Child): boolean {
    const pid = this.#options.registeredPid(child.declared.id);
    if (pid === undefined) return false;
    child.inheritedPid = pid;
    if (this.#records.get(child.declared.id) === undefined) this.#records.set(child.declared.id, pid);
    this.#set(child, 'running', `pid ${pid}, started by an earlier broker`);
    return true;
  }

  /** A collector of the SDK comes back by itself, with the tasks it holds; any other program is ended. */
  async #waitForOld(child: Child, pid: number, certain: boolean): Promise<void> {
    const { log, reclaimMs, termGraceMs = 5000 } = this.#options;
    const { id } = child.declared;
    // A pid that may mean another process by now must never be signalled.
    const inheritedPid = certain ? pid : undefined;
    child.inheritedPid = inheritedPid;
    this.#set(child, 'starting', `pid ${pid}, started by an earlier broker, has ${reclaimMs} ms to register`);
    const waiting = (): boolean => child.state === 'starting' && child.inheritedPid === inheritedPid;
    const untilMs = performance.now() + reclaimMs;
    while (waiting() && performance.now() < untilMs && !(await endsWithin(pid, 0))) {
      if (this.#takeBack(child)) return;
      await pause(lookEveryMs);
    }
    if (!waiting()) return; // stopped meanwhile
    if (certain) {
      log.warn(
        { component: 'supervisor', collector_id: id, pid },
        `collector ${id} of an earlier broker did not register in ${reclaimMs} ms and is ended before another is started`,
      );
      await terminate(pid, termGraceMs);
      if (!waiting()) return;
    }
    child.inheritedPid = undefined;
    await this.#spawn(child);
  }

  async #endOrphan(id: string): Promise<void> {
    const { log, termGraceMs = 5000 } = this.#options;
    const old = this.#records.get(id);
    if (old !== undefined && lookFor(old) === 'same') {
      log.warn(
        { component: 'supervisor', collector_id: id, pid: old.pid },
        `collector ${id} of an earlier broker is declared no more and is ended`,
      );
      await terminate(old.pid, termGraceMs);
    }
    this.#records.delete(id);
  }

  #spawn(child: Child): Promise<void> {
    const { log, lineBytesMax } = this.#options;
    const { declared } = child;
    const { id } = declared;
    let started: ChildProcess;
    try {
      started = spawnDeclared(declared, lineBytesMax, (text) =>
        log.info({ component: 'collector', collector_id: id, pid: started.pid }, text),
      );
    } catch (error) {
      this.#notStarted(child, error as Error);
      return Promise.resolve();
    }
    child.process = started;
    started.once('exit', (code, signal) => {
      if (child.process !== started) return;
      child.process = undefined;
      clearTimeout(child.timer);
      this.#records.delete(id);
      if (child.state !== 'stopping')
        this.#restart(child, signal === null ? `it exited with ${code}` : `it was ended by ${signal}`);
    });
    return new Promise((resolve) => {
      started.once('spawn', () => {
        this.#records.set(id, started.pid!);
        if (child.process === started && child.state === 'starting') this.#set(child, 'running', `pid ${started.pid}`);
        child.timer = setTimeout(() => this.#startupOver(child, started), declared.startup_timeout_ms).unref();
        resolve();
      });
      started.on('error', (error) => {
        if (started.pid !== undefined) return; // a signal that could not be sent; it is watched all the same
        child.process = undefined;
        this.#notStarted(child, error);
        resolve();
      });
    });
  }

  #startupOver(child: Child, started: ChildProcess): void {
    const { id, startup_timeout_ms } = child.declared;
    if (child.process !== started || this.#options.registeredPid(id) !== undefined) return;
    this.#options.log.warn(
      { component: 'supervisor', collector_id: id, pid: started.pid },
      `collector ${id} did not register in ${startup_timeout_ms} ms and is killed`,
    );
    started.kill('SIGKILL');
  }

  #notStarted(child: Child, error: Error): void {
    const { reason, lasting } = explainFailure(child.declared, error);
    if (!lasting) return this.#restart(child, reason);
    if (child.state === 'stopping' || child.state === 'stopped') return;
    const { id } = child.declared;
    this.#options.log.error({ component: 'supervisor', collector_id: id, why: reason }, `collector ${id} stays down`);
    this.#set(child, 'quarantined', reason);
  }

  #restart(child: Child, why: string): void {
    const { declared } = child;
    if (child.state === 'stopping' || child.state === 'stopped') return;
    const nowMs = performance.now();
    child.restartsMs = [...child.restartsMs.filter((at) => at > nowMs - declared.restart_window_ms), nowMs];
    if (!declared.auto_restart) return this.#set(child, 'stopped', why);
    if (child.restartsMs.length > declared.max_restarts) {
      this.#options.log.error(
        { component: 'supervisor', collector_id: declared.id, why },
        `collector ${declared.id} is in a crash loop and stays down`,
      );
      return this.#set(
        child,
        'quarantined',
        `${child.restartsMs.length} exits in ${declared.restart_window_ms / 1000} s; the last: ${why}`,
      );
    }
    const waitMs = Math.min(declared.backoff_ms * 2 ** (child.restartsMs.length - 1), backoffCapMs);
    this.#options.log.warn(
      { component: 'supervisor', collector_id: declared.id, why, wait_ms: waitMs },
      `collector ${declared.id} ended and is started again`,
    );
    this.#set(child, 'restarting', why);
    child.timer = setTimeout(() => void this.#begin(child), waitMs);
  }

  async #end(child: Child, why: string, type: 'graceful' | 'immediate'): Promise<void> {
    const { log, requestStop, requestGraceMs, termGraceMs = 5000 } = this.#options;
    const { id } = child.declared;
    clearTimeout(child.timer);
    const pid = child.process?.pid ?? child.inheritedPid;
    if (pid === undefined) return this.#set(child, 'stopped', why);
    this.#set(child, 'stopping', why);
    const requested = await requestStop(id, type).then(
      () => true,
      () => false, // it is not connected; the signal follows at once
    );
    log.info({ component: 'supervisor', collector_id: id, pid, requested }, `collector ${id} is stopped`);
    const graceMs = type === 'graceful' ? requestGraceMs : Math.min(requestGraceMs, immediateGraceMs);
    if (!(requested && (await endsWithin(pid, graceMs))) && (await terminate(pid, termGraceMs)))
      log.warn({ component: 'supervisor', collector_id: id, pid }, `collector ${id} did not stop and was killed`);
    child.process = undefined;
    child.inheritedPid = undefined;
    this.#records.delete(id);
    this.#set(child, 'stopped', why);
  }

  #set(child: Child, state: ChildState, reason: string): void {
    child.state = state;
    child.reason = reason;
    child.sinceAtMs = Date.now();
  }
}
