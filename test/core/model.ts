/**
 * The core again, as plainly as it can be written: arrays that are searched from front to back, no heap, no class, no
 * pairing. It answers each input with words, and `model.test.ts` holds the core to them. Placements that draw lots are
 * left out.
 */
import type { TaskSpec } from '../../src/core/task.ts';
import type { RegistrationParsed } from '../../src/protocol/collector-schema.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import {
  couldServe,
  type ModelCollector,
  type ModelTask,
  type ModelWait,
  sameClass,
  strategies,
} from './model-parts.ts';

const isUsable = ({ status }: ModelCollector): boolean => status === 'healthy' || status === 'degraded';

export class Model {
  tasks: ModelTask[] = [];
  readonly ended = new Map<string, string>();
  collectors: ModelCollector[] = [];
  readonly totals = { submitted: 0, assigned: 0, completed: 0, failed_attempts: 0, retried: 0, requeued: 0 };
  readonly #limits: Limits;
  readonly #strategies = new Map<string | undefined, string>();
  readonly #lastIds = new Map<string, string>();
  /** Payload bytes by the session that has not taken them. */
  readonly #unread = new Map<number, number>();
  #waits: ModelWait[] = [];
  #words: string[] = [];
  #now = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** What follows from one input at one moment. */
  step(now: number, input: () => void): string[] {
    this.#words = [];
    this.#now = now;
    input();
    this.#due();
    for (const one of this.collectors) if (one.status === 'draining' && this.#held(one).length === 0) this.#gone(one);
    this.#dispatch();
    return this.#words;
  }

  submit(specs: readonly TaskSpec[]): void {
    const accepted = specs.map((spec) => {
      const known = this.tasks.find((task) => task.spec.id === spec.id)?.state ?? this.ended.get(spec.id);
      if (known !== undefined) return `${spec.id} was ${known}`;
      if (this.tasks.filter(({ state }) => state !== 'in_progress').length >= this.#limits.pendingMax)
        return 'queue_full';
      const none = { holder: undefined, readyAt: 0, timeoutAt: 0, leaseEnds: 0, cancelSent: undefined };
      const seq = ++this.totals.submitted;
      this.tasks.push({ spec, seq, state: 'pending', attempt: 0, excluded: [], ...none });
      return this.tasks.at(-1)!;
    });
    this.#dispatch();
    const outcomes = accepted.map((one) => {
      if (typeof one === 'string') return one;
      if (one.holder !== undefined) return `${one.spec.id} to ${one.holder.registration.collector_id}`;
      const before = this.#pending().filter((other) => sameClass(one, other));
      const able = this.collectors.some((collector) => couldServe(collector, one) && isUsable(collector));
      return `${one.spec.id} at ${before.indexOf(one)}${able ? '' : ' unservable'}`;
    });
    this.#words.push(`reply ${outcomes.join(', ')}`);
  }

  cancel(id: string): void {
    const task = this.tasks.find(({ spec }) => spec.id === id);
    if (task === undefined) this.#words.push(`reply ${this.ended.has(id) ? 'wrong_state' : 'not_found'}`);
    else if (task.state === 'in_progress') this.#words.push('reply wrong_state');
    else {
      this.#end(task, 'cancelled');
      this.#words.push('reply cancelled');
    }
  }

  register(session: number, registration: RegistrationParsed): void {
    const holder = this.collectors.find((one) => one.registration.collector_id === registration.collector_id);
    const own = this.collectors.find((one) => one.session === session);
    if (holder !== own) return void this.#words.push('reply id_taken');
    if (own === undefined)
      this.collectors.push({ session, registration, status: '', active: 0, missed: 0, lastAssigned: 0 });
    const collector = this.collectors.find((one) => one.session === session)!;
    collector.registration = registration;
    this.collectors.sort((a, b) => (a.registration.collector_id < b.registration.collector_id ? -1 : 1));
    this.#active(collector, registration.status);
    this.#words.push('reply registered');
  }

  heartbeat(session: number, leases: readonly { id: string; attempt: number }[], status: string): void {
    const collector = this.collectors.find((one) => one.session === session);
    if (collector === undefined) return void this.#words.push('reply not_registered');
    const lost = leases.filter(({ id, attempt }) => {
      const task = this.#leased(session, id, attempt);
      if (task !== undefined) task.leaseEnds = this.#now + this.#limits.leaseMs;
      return task === undefined;
    });
    this.#active(collector, status);
    this.#words.push(`reply lost ${lost.map(({ id }) => id).join(' ')}`);
  }

  deregister(session: number, force: boolean): void {
    const collector = this.collectors.find((one) => one.session === session);
    if (collector === undefined) return void this.#words.push('reply not_registered');
    this.#words.push(`reply holds ${this.#held(collector).length}`);
    if (force) this.#gone(collector);
    else collector.status = 'draining';
  }

  close(session: number): void {
    this.#waits = this.#waits.filter((wait) => wait.session !== session);
    const collector = this.collectors.find((one) => one.session === session);
    if (collector !== undefined) this.#gone(collector);
    this.#unread.delete(session);
  }

  bytesRead(session: number, bytes: number): void {
    this.#unread.set(session, Math.max(0, (this.#unread.get(session) ?? 0) - bytes));
  }

  complete(session: number, id: string, attempt: number): void {
    const task = this.#leased(session, id, attempt);
    if (task === undefined) return void this.#words.push('reply stale_lease');
    this.totals.completed++;
    this.#end(task, 'completed');
    this.#words.push('reply completed');
  }

  fail(session: number, id: string, attempt: number, next: string, afterMs: number): void {
    const task = this.#leased(session, id, attempt);
    if (task === undefined) return void this.#words.push('reply stale_lease');
    this.totals.failed_attempts++;
    if (next === 'elsewhere') task.excluded.push(task.holder!.registration.collector_id);
    if (next === 'give_up' || task.attempt > task.spec.maxRetries) this.#end(task, 'dead_letter');
    else if (next === 'elsewhere') this.#requeue(task);
    else this.#retry(task, afterMs);
    this.#words.push(`reply ${this.ended.get(id) ?? task.state}`);
  }

  wait(session: number, request: number, id: string, timeoutMs: number): void {
    const own = this.#waits.filter((wait) => wait.session === session);
    if (!this.tasks.some(({ spec }) => spec.id === id)) this.#words.push(`ended ${id} for ${session}.${request}`);
    else if (own.some((wait) => wait.request === request)) this.#words.push('reply invalid_params');
    else if (own.length >= this.#limits.waitsMax) this.#words.push('reply too_many_waits');
    else this.#waits.push({ session, request, id, at: this.#now + Math.min(timeoutMs, this.#limits.waitMsMax) });
  }

  cancelWait(session: number, request: number): void {
    if (this.#unwait((wait) => wait.session === session && wait.request === request).length > 0)
      this.#words.push('reply cancelled');
  }

  route(strategy: string, operation: string | undefined): void {
    this.#strategies.set(operation, strategy);
    this.#words.push('reply routed');
  }

  #held = (collector: ModelCollector): ModelTask[] => this.tasks.filter(({ holder }) => holder === collector);

  #leased = (session: number, id: string, attempt: number): ModelTask | undefined =>
    this.tasks.find((task) => task.spec.id === id && task.attempt === attempt && task.holder?.session === session);

  /** In the order in which they are handed out. */
  #pending = (): ModelTask[] =>
    this.tasks
      .filter(({ state }) => state === 'pending')
      .sort((a, b) => b.spec.priority - a.spec.priority || a.seq - b.seq);

  #isFree(collector: ModelCollector): boolean {
    const most = Math.min(collector.registration.max_concurrent_tasks, this.#limits.collectorTasksMax);
    const unread = this.#unread.get(collector.session) ?? 0;
    return isUsable(collector) && this.#held(collector).length < most && unread <= this.#limits.outboundBytesMax;
  }

  #dispatch(): void {
    for (;;) {
      const free = this.collectors.filter((collector) => this.#isFree(collector));
      const task = this.#pending().find((one) => free.some((collector) => couldServe(collector, one)));
      if (task === undefined) return;
      const able = free.filter((collector) => couldServe(collector, task));
      const healthy = able.filter(({ status }) => status === 'healthy');
      const { operation } = task.spec;
      const strategy = this.#strategies.get(operation) ?? this.#strategies.get(undefined) ?? 'least_loaded';
      const load = (one: ModelCollector): number => this.#held(one).length;
      const last = this.#lastIds.get(operation) ?? '';
      this.#assign(task, strategies[strategy]!(healthy.length > 0 ? healthy : able, load, last));
    }
  }

  #assign(task: ModelTask, collector: ModelCollector): void {
    const { collector_id } = collector.registration;
    this.#lastIds.set(task.spec.operation, collector_id);
    collector.lastAssigned = ++this.totals.assigned;
    this.#unread.set(collector.session, (this.#unread.get(collector.session) ?? 0) + task.spec.payload.length);
    const times = { timeoutAt: this.#now + task.spec.timeoutMs, leaseEnds: this.#now + this.#limits.leaseMs };
    const attempt = task.attempt + 1;
    Object.assign(task, { state: 'in_progress', attempt, holder: collector, cancelSent: undefined, ...times });
    this.#words.push(`assign ${task.spec.id}#${attempt} to ${collector_id}`);
  }

  #requeue(task: ModelTask): void {
    this.totals.requeued++;
    Object.assign(task, { state: 'pending', holder: undefined });
  }

  #retry(task: ModelTask, afterMs: number): void {
    this.totals.retried++;
    Object.assign(task, { state: 'retrying', holder: undefined, readyAt: this.#now + afterMs });
  }

  #lose(task: ModelTask): void {
    this.totals.failed_attempts++;
    if (task.attempt > task.spec.maxRetries) this.#end(task, 'dead_letter');
    else this.#requeue(task);
  }

  #end(task: ModelTask, state: string): void {
    this.tasks = this.tasks.filter((one) => one !== task);
    this.ended.set(task.spec.id, state);
    for (const { session, request, id } of this.#unwait((wait) => wait.id === task.spec.id))
      this.#words.push(`ended ${id} for ${session}.${request}`);
  }

  #gone(collector: ModelCollector): void {
    this.collectors = this.collectors.filter((one) => one !== collector);
    for (const task of this.#held(collector)) this.#lose(task);
    this.#words.push(`gone ${collector.registration.collector_id}`);
  }

  #active(collector: ModelCollector, status: string): void {
    Object.assign(collector, { active: this.#now, missed: 0 });
    if (collector.status !== 'draining') collector.status = status;
  }

  #unwait(which: (wait: ModelWait) => boolean): ModelWait[] {
    const found = this.#waits.filter(which);
    this.#waits = this.#waits.filter((wait) => !which(wait));
    return found;
  }

  /** Everything that is due by now, the earliest first. */
  #due(): void {
    const { cancelGraceMs, heartbeatMs } = this.#limits;
    for (;;) {
      const all: [atMs: number, happens: () => void][] = [
        ...this.tasks.flatMap((task): [number, () => void][] => {
          if (task.state === 'retrying') return [[task.readyAt, () => (task.state = 'pending')]];
          if (task.state !== 'in_progress') return [];
          const patience = task.cancelSent === undefined ? task.timeoutAt : task.cancelSent + cancelGraceMs;
          return [[Math.min(task.leaseEnds, patience), () => this.#attemptDue(task)]];
        }),
        ...this.collectors.flatMap((one): [number, () => void][] =>
          one.missed > 1
            ? []
            : [[one.active + (one.missed + 1) * heartbeatMs + heartbeatMs / 10, () => this.#silent(one)]],
        ),
        ...this.#waits.map((wait): [number, () => void] => [
          wait.at,
          () => {
            this.#unwait((one) => one === wait);
            this.#words.push('reply deadline_exceeded');
          },
        ]),
      ];
      const [first] = all.filter(([at]) => at <= this.#now).sort(([a], [b]) => a - b);
      if (first === undefined) return;
      first[1]();
    }
  }

  #attemptDue(task: ModelTask): void {
    const cancel = `cancel ${task.spec.id}#${task.attempt} at ${task.holder!.registration.collector_id}`;
    if (this.#now >= task.leaseEnds) {
      this.#words.push(cancel);
      this.#lose(task);
    } else if (task.cancelSent === undefined) {
      this.#words.push(cancel);
      task.cancelSent = this.#now;
    } else {
      this.totals.failed_attempts++;
      if (task.attempt > task.spec.maxRetries) this.#end(task, 'dead_letter');
      else this.#retry(task, 0);
    }
  }

  #silent(collector: ModelCollector): void {
    const { heartbeatMs } = this.#limits;
    collector.missed = this.#now >= collector.active + 2 * heartbeatMs + heartbeatMs / 10 ? 2 : 1;
    if (collector.missed === 1) {
      if (collector.status === 'healthy') collector.status = 'degraded';
      return;
    }
    if (collector.status !== 'draining') collector.status = 'failing';
    for (const task of this.#held(collector)) this.#lose(task);
  }
}
