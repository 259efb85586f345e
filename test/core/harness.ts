/** A core on its own, for tests that look closer than a transcript does. Every step is held to the invariants. */
import { expect } from 'vitest';
import type { Input, Outcome, Output } from '../../src/core/input.ts';
import { checkInvariants } from '../../src/core/invariants.ts';
import type { Facts } from '../../src/core/prefetch.ts';
import type { StoredTask, StoreRecord } from '../../src/core/record.ts';
import { type CoreState, newState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { defaultNamespace, type Task, type TaskSpec } from '../../src/core/task.ts';
import type { Heartbeat, RegistrationParsed } from '../../src/protocol/collector-schema.ts';
import { type Fault, isFault } from '../../src/protocol/fault.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import type { Failure } from '../../src/protocol/schema.ts';
import type { Now } from '../../src/time/now.ts';

export const specOf = (id: string, changes: Partial<TaskSpec> = {}): TaskSpec => ({
  namespace: defaultNamespace,
  id,
  operation: 'scan',
  priority: 100,
  requires: [],
  labels: {},
  collectorType: undefined,
  collectorId: undefined,
  timeoutMs: 3_600_000,
  maxRetries: 3,
  backoffBaseMs: 5000,
  backoffCapMs: 3_600_000,
  metadata: {},
  correlation: { correlation_id: id },
  payload: Uint8Array.of(0xc0),
  ...changes,
});

export const specsOf = (ids: readonly string[], changes: Partial<TaskSpec> = {}): TaskSpec[] =>
  ids.map((id) => specOf(id, changes));

export const named = (count: number, prefix = 't'): string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}${at}`);

export const registrationOf = (id: string, changes: Partial<RegistrationParsed> = {}): RegistrationParsed => ({
  collector_id: id,
  collector_type: 'sim',
  version: '1',
  hostname: 'here',
  pid: 7,
  operations: [{ name: 'scan' }],
  capabilities: [],
  priority_levels: [[0, 255]],
  max_concurrent_tasks: 1,
  weight: 1,
  event_domains: [],
  labels: {},
  metadata: {},
  status: 'healthy',
  status_reason: '',
  leases: [],
  ...changes,
});

/** `scan hash` as a registration lists them. */
export const offering = (names: string): Pick<RegistrationParsed, 'operations'> => ({
  operations: names.split(' ').map((name) => ({ name })),
});

export const storedOf = (seq: number, id: string, changes: Partial<StoredTask> = {}): StoredTask => ({
  seq,
  spec: specOf(id),
  submittedAtMs: 0,
  state: 'pending',
  attempt: 0,
  token: '',
  atMs: 0,
  collectorId: undefined,
  readyAtMs: undefined,
  delayMs: undefined,
  error: undefined,
  excluded: [],
  ...changes,
});

export const caller = { session: 1000, id: 1 };

export class TestCore {
  readonly state: CoreState;
  readonly wallMs: number;
  nowMs = 0;
  readonly #sessions = new Map<string, number>();
  #nextSession = 1;

  constructor({
    wallMs = 0,
    seed = 1,
    epoch = 1,
    ...limits
  }: Partial<Limits> & { wallMs?: number; seed?: number; epoch?: number } = {}) {
    this.wallMs = wallMs;
    this.state = newState({ seed, epoch, limits: { ...defaultLimits, ...limits } });
  }

  get now(): Now {
    return { monotonicMs: this.nowMs, wallMs: this.wallMs + this.nowMs };
  }

  /** What follows from the input; it comes after what other steps of the same pass have given. */
  give(input: Input, facts?: Facts): Output[] {
    const earlier: Output = { kind: 'publish', topic: 'earlier', body: undefined };
    const out = [earlier];
    step(this.state, input, this.now, out, facts);
    checkInvariants(this.state);
    expect(out.shift()).toBe(earlier);
    return out;
  }

  /** Steps without the invariants, whose check takes longer than any step, for tests with very many. */
  quiet(): (input: Input) => Output[] {
    return (input) => {
      const out: Output[] = [];
      step(this.state, input, this.now, out);
      return out;
    };
  }

  /** Everything that becomes due until then, each at its own moment. */
  until(ms: number): Output[] {
    const out: Output[] = [];
    while (this.state.deadlines.nextMs <= ms) {
      this.nowMs = this.state.deadlines.nextMs;
      out.push(...this.give({ kind: 'tick' }));
    }
    this.nowMs = ms;
    return out;
  }

  submit(...specs: (TaskSpec | Fault)[]): Output[] {
    return this.give({ kind: 'submit', to: caller, specs, batch: specs.length !== 1 });
  }

  cancel(id: string, reason = ''): Output[] {
    return this.give({ kind: 'cancel', to: caller, id, reason });
  }

  /** The session that is, or will be, this collector's. */
  sessionOf(name: string): number {
    const known = this.#sessions.get(name);
    if (known !== undefined) return known;
    this.#sessions.set(name, this.#nextSession);
    return this.#nextSession++;
  }

  join(name: string, changes: Partial<RegistrationParsed> = {}): Output[] {
    const to = { session: this.sessionOf(name), id: 1 };
    return this.give({ kind: 'register', to, registration: registrationOf(name, changes) });
  }

  beat(name: string, ids: readonly string[] = [], report: Partial<Heartbeat> = {}): Output[] {
    const to = { session: this.sessionOf(name), id: 1 };
    const leases = ids.map((id) => this.lease(id));
    return this.give({ kind: 'heartbeat', to, report: { leases, status: 'healthy', status_reason: '', ...report } });
  }

  leave(name: string, force = false, reason = ''): Output[] {
    return this.give({ kind: 'deregister', to: { session: this.sessionOf(name), id: 1 }, force, reason });
  }

  close(name: string): Output[] {
    const session = this.sessionOf(name);
    this.#sessions.delete(name);
    return this.give({ kind: 'session_closed', session });
  }

  complete(id: string, token = this.lease(id).token): Output[] {
    return this.give({ kind: 'complete', to: this.#holder(id), taskId: id, token, result: undefined });
  }

  fail(id: string, changes: Partial<Failure> = {}): Output[] {
    const error = { code: 'oops', message: 'it broke' };
    return this.give({
      kind: 'fail',
      to: this.#holder(id),
      failure: { ...this.lease(id), error, next: 'retry', ...changes },
    });
  }

  task(id: string): Task {
    const task = this.state.tasks.get(id);
    if (task === undefined) throw new Error(`there is no live task ${id}`);
    return task;
  }

  /** The latest lease of a task; no real one when it never had any, or ended. */
  lease(id: string): { task_id: string; token: string } {
    return { task_id: id, token: this.state.tasks.get(id)?.token || 'none' };
  }

  /** What every collector holds. */
  held(): Record<string, string[]> {
    return Object.fromEntries([...this.state.collectors.values()].map(({ id, tasks }) => [id, [...tasks.keys()]]));
  }

  #holder(id: string): { session: number; id: number } {
    const life = this.state.tasks.get(id)?.life;
    return { session: (life?.state === 'in_progress' ? life.collector?.session : undefined) ?? caller.session, id: 2 };
  }
}

/** `t1>A` for every assignment, in order. */
export const assigned = (out: readonly Output[]): string[] =>
  out.flatMap((one) => (one.kind === 'assign' ? [`${one.spec.id}>${one.topic.split('.').at(-1)}`] : []));

export const recordsOf = (out: readonly Output[]): StoreRecord[] =>
  out.flatMap((one) => (one.kind === 'record' ? [one.record] : []));

/** How attempts ended, and with which error. */
export const attemptsOf = (out: readonly Output[]): string[] =>
  recordsOf(out).flatMap((one) => (one.kind === 'attempt' ? [`${one.outcome}: ${one.error?.message ?? 'none'}`] : []));

/** What became of collectors, and why. */
export const changesOf = (out: readonly Output[]): string[] =>
  out.flatMap((one) => (one.kind === 'collector_changed' ? [`${one.id} ${one.status}: ${one.reason}`] : []));

/** The outcome of the one request that was answered. */
export function outcomeOf(out: readonly Output[]): Outcome {
  const replies = out.filter((one) => one.kind === 'reply');
  expect(replies).toHaveLength(1);
  return replies[0]!.outcome;
}

export function resultOf(out: readonly Output[]): unknown {
  return resultIn(outcomeOf(out));
}

/** The result that an outcome holds; the core itself encodes none. */
export function resultIn(outcome: Outcome): unknown {
  if ('result' in outcome) return outcome.result;
  throw new Error(isFault(outcome) ? `refused: ${outcome.code} ${outcome.message}` : 'an encoded result');
}

export function faultOf(out: readonly Output[]): Fault {
  const outcome = outcomeOf(out);
  if (!isFault(outcome)) throw new Error(`not refused: ${JSON.stringify(outcome)}`);
  return outcome;
}

/** The outcomes of a batch. */
export const outcomesOf = (out: readonly Output[]): unknown[] => (resultOf(out) as { outcomes: unknown[] }).outcomes;
