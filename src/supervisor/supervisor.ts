/**
 * Looks after the collectors that the configuration declares: starts each as a child process, restarts it with
 * backoff, gives up on a crash loop (quarantine) and says who looped, stops by request, then SIGTERM, then SIGKILL.
 * What a child writes goes to the log with its name on it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';
import { type Fault, fault } from '../protocol/fault.ts';
import type { CollectorView } from '../protocol/schema.ts';
import { isAlive } from './alive.ts';

export interface Declared {
  readonly id: string;
  readonly type: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly working_dir?: string | undefined;
  readonly auto_restart: boolean;
  readonly max_restarts: number;
  readonly restart_window_ms: number;
  readonly backoff_ms: number;
  readonly startup_timeout_ms: number;
}

export interface SupervisorOptions {
  readonly log: Logger;
  /** Whether `startAll` follows. */
  readonly startsSoon: boolean;
  /** Whether a collector with this id is registered now, and the pid it gave. */
  readonly registered: (id: string) => { readonly pid: number } | undefined;
  /** Asks the collector to shut down; rejects when it cannot be reached. */
  readonly ask: (id: string, type: 'graceful' | 'immediate') => Promise<unknown>;
  /** How long a child has after the request, and after SIGTERM, in ms. */
  readonly requestGraceMs?: number;
  readonly termGraceMs?: number;
}

type Phase = 'starting' | 'running' | 'restarting' | 'quarantined' | 'stopping' | 'stopped';

interface Child {
  readonly declared: Declared;
  phase: Phase;
  reason: string;
  sinceAtMs: number;
  process: ChildProcess | undefined;
  /** A process that an earlier broker started and that came back to this one. */
  reclaimedPid: number | undefined;
  restartsMs: number[];
  timer: NodeJS.Timeout | undefined;
}

const backoffCapMs = 60_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children: Map<string, Child>;

  constructor(declared: readonly Declared[], options: SupervisorOptions) {
    this.#options = options;
    this.#children = new Map(
      declared.map((one) => [
        one.id,
        {
          declared: one,
          phase: options.startsSoon ? 'starting' : 'stopped',
          reason: options.startsSoon ? 'about to be started' : 'not started: the broker was told to start none',
          sinceAtMs: Date.now(),
          process: undefined,
          reclaimedPid: undefined,
          restartsMs: [],
          timer: undefined,
        },
      ]),
    );
  }

  has(id: string): boolean {
    return this.#children.has(id);
  }

  /** Starts every declared collector, except those that have come back by themselves. */
  startAll(): void {
    for (const child of this.#children.values()) this.#begin(child);
  }

  start(id: string): Fault | undefined {
    const child = this.#children.get(id)!;
    if (child.phase === 'running' || child.phase === 'starting' || child.phase === 'stopping')
      return fault('wrong_state', `Collector ${id} is ${child.phase}.`, { collector_id: id, state: child.phase });
    clearTimeout(child.timer);
    child.restartsMs = [];
    this.#begin(child);
    return undefined;
  }

  stop(id: string): Fault | undefined {
    const child = this.#children.get(id)!;
    if (child.phase === 'stopped' || child.phase === 'stopping')
      return fault('wrong_state', `Collector ${id} is ${child.phase} already.`, {
        collector_id: id,
        state: child.phase,
      });
    void this.#end(child, 'stopped by an operator', 'graceful');
    return undefined;
  }

  /** Its session ended. A child of our own is watched as a process; one that was adopted is not. */
  gone(id: string): void {
    const child = this.#children.get(id);
    if (child?.reclaimedPid === undefined) return;
    child.reclaimedPid = undefined;
    if (child.phase === 'running') this.#restart(child, 'it went away');
  }

  absent(registered: ReadonlySet<string>): CollectorView[] {
    return [...this.#children.values()].filter(({ declared }) => !registered.has(declared.id)).map(viewOf);
  }

  /** Stops every child. Immediate gives a running task no time. */
  async stopAll(type: 'graceful' | 'immediate'): Promise<void> {
    const running = [...this.#children.values()].filter(({ phase }) => phase !== 'stopped');
    await Promise.all(running.map((child) => this.#end(child, 'the broker stops', type)));
  }

  #begin(child: Child): void {
    const { declared } = child;
    const back = this.#options.registered(declared.id);
    if (back !== undefined) {
      child.reclaimedPid = back.pid;
      this.#set(child, 'running', `pid ${back.pid}, started by an earlier broker`);
      return;
    }
    this.#set(child, 'starting', '');
    const started = spawn(declared.command, declared.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...declared.env },
      ...(declared.working_dir === undefined ? {} : { cwd: declared.working_dir }),
    });
    child.process = started;
    for (const stream of [started.stdout, started.stderr])
      createInterface({ input: stream }).on('line', (line) =>
        this.#options.log.info(
          { component: 'collector', collector_id: declared.id, pid: started.pid },
          line.slice(0, 4096),
        ),
      );
    started.once('spawn', () => this.#set(child, 'running', `pid ${started.pid}`));
    child.timer = setTimeout(() => {
      if (child.process !== started || this.#options.registered(declared.id) !== undefined) return;
      this.#options.log.warn(
        { component: 'supervisor', collector_id: declared.id, pid: started.pid },
        `collector ${declared.id} did not register in ${declared.startup_timeout_ms} ms and is killed`,
      );
      started.kill('SIGKILL');
    }, declared.startup_timeout_ms).unref();
    started.once('error', (error) => {
      child.process = undefined;
      this.#restart(child, `it cannot be started: ${error.message}`);
    });
    started.once('exit', (code, signal) => {
      if (child.process !== started) return;
      child.process = undefined;
      clearTimeout(child.timer);
      if (child.phase !== 'stopping')
        this.#restart(child, signal === null ? `it exited with ${code}` : `it was ended by ${signal}`);
    });
  }

  #restart(child: Child, why: string): void {
    const { declared } = child;
    if (child.phase === 'stopping' || child.phase === 'stopped') return;
    const nowMs = Date.now();
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
    child.timer = setTimeout(() => this.#begin(child), waitMs);
  }

  async #end(child: Child, why: string, type: 'graceful' | 'immediate'): Promise<void> {
    const { log, ask, requestGraceMs = type === 'graceful' ? 30_000 : 1000, termGraceMs = 5000 } = this.#options;
    const { id } = child.declared;
    clearTimeout(child.timer);
    const pid = child.process?.pid ?? child.reclaimedPid;
    if (pid === undefined) return this.#set(child, 'stopped', why);
    this.#set(child, 'stopping', why);
    const asked = await ask(id, type).then(
      () => true,
      () => false, // it is not connected; the signal follows at once
    );
    log.info({ component: 'supervisor', collector_id: id, pid, asked }, `collector ${id} is asked to stop`);
    if (!(asked && (await gone(pid, requestGraceMs)))) {
      signal(pid, 'SIGTERM');
      if (!(await gone(pid, termGraceMs))) {
        log.warn({ component: 'supervisor', collector_id: id, pid }, `collector ${id} did not stop and is killed`);
        signal(pid, 'SIGKILL');
        await gone(pid, termGraceMs);
      }
    }
    child.process = undefined;
    child.reclaimedPid = undefined;
    this.#set(child, 'stopped', why);
  }

  #set(child: Child, phase: Phase, reason: string): void {
    child.phase = phase;
    child.reason = reason;
    child.sinceAtMs = Date.now();
  }
}

function viewOf({ declared, phase, reason, sinceAtMs, process: running, restartsMs }: Child): CollectorView {
  const status =
    phase === 'quarantined'
      ? 'quarantined'
      : phase === 'stopped'
        ? 'stopped'
        : phase === 'stopping'
          ? 'draining'
          : 'starting';
  return {
    collector_id: declared.id,
    collector_type: declared.type,
    version: '',
    hostname: '',
    pid: running?.pid ?? 0,
    operations: [],
    capabilities: [],
    labels: {},
    metadata: restartsMs.length > 0 ? { restarts: String(restartsMs.length) } : {},
    status,
    status_reason: reason,
    status_changed_at_ms: sinceAtMs,
    tasks: 0,
    max_concurrent_tasks: 0,
    completed: 0,
    failed: 0,
    last_heartbeat_at_ms: 0,
    confidence: 0,
    supervised: true,
  };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it is gone already, which is what was wanted
  }
}

/** Whether the process ends within `ms`. Looked at every 20 ms, since an adopted one is not our child. */
async function gone(pid: number, ms: number): Promise<boolean> {
  for (const untilMs = Date.now() + ms; Date.now() < untilMs; await wait(20)) if (!isAlive(pid)) return true;
  return !isAlive(pid);
}
