/**
 * How the core behaves, step by step: backoffs, timeouts, placements, leases that are reclaimed, waits that are gone.
 * These are the promises that no invariant of the state can see.
 */
import assert from 'node:assert/strict';
import type { Input, Output } from '../../src/core/input.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import type { CoreState } from '../../src/core/state.ts';
import type { Task } from '../../src/core/task.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import type { Now } from '../../src/time/now.ts';
import { checkPlacement } from './placement-check.ts';

/** One backoff: which attempt it followed, and which part it is of the most that it could be. */
export interface Backoff {
  readonly attempt: number;
  readonly part: number;
}

interface BehaviourOptions {
  readonly limits: Limits;
  readonly tokens: Set<string>;
  readonly backoffs: Backoff[];
}

interface Lease {
  readonly token: string;
  readonly collectorId: string;
  readonly session: number | undefined;
}

export interface Before {
  /** Of each collector, the order of its latest assignment. */
  readonly lastAssigned: ReadonlyMap<string, number>;
  /** What a registration wants to reclaim, or an answer answers, as it was held before. */
  readonly leases: ReadonlyMap<string, Lease>;
  readonly waitingBytes: number;
}

type Moved = Extract<StoreRecord, { kind: 'moved' }>;

export class Behaviour {
  readonly #options: BehaviourOptions;
  /** When the backoff of each retrying task is over. */
  readonly #readyAtMs = new Map<number, number>();
  readonly #closed = new Set<number>();

  constructor(options: BehaviourOptions) {
    this.#options = options;
  }

  renew(state: CoreState): void {
    this.#readyAtMs.clear();
    for (const task of state.tasks.values())
      if (task.life.state === 'retrying') this.#readyAtMs.set(task.seq, task.dueMs);
  }

  before(state: CoreState, input: Input): Before {
    const lastAssigned = new Map<string, number>();
    for (const { id, lastAssigned: at } of state.collectors.values()) lastAssigned.set(id, at);
    const ids =
      input.kind === 'register'
        ? input.registration.leases.map(({ task_id }) => task_id)
        : input.kind === 'complete'
          ? [input.taskId]
          : input.kind === 'fail'
            ? [input.failure.task_id]
            : [];
    const leases = new Map<string, Lease>();
    for (const id of ids) {
      const task = state.tasks.get(id);
      if (task?.life.state !== 'in_progress') continue;
      const { collectorId, collector } = task.life;
      leases.set(id, { token: task.token, collectorId, session: collector?.session });
    }
    return { lastAssigned, leases, waitingBytes: state.operations.waitingBytes };
  }

  after(state: CoreState, input: Input, before: Before, now: Now, out: readonly Output[], first: number): void {
    this.#input(state, input, before, out, first);
    const timedOut = new Set<number>();
    for (let at = first; at < out.length; at++) {
      const output = out[at]!;
      if (output.kind === 'assign') this.#assigned(state, output);
      if (output.kind !== 'record') continue;
      const { record } = output;
      if (record.kind === 'attempt' && record.outcome === 'timed_out') timedOut.add(record.seq);
      if (record.kind === 'moved') this.#moved(state, input, record, timedOut, now);
    }
    checkPlacement(state, before.lastAssigned, out, first);
    for (const session of state.waits.bySession.keys())
      assert(!this.#closed.has(session), `I6: session ${session} is closed and still waits`);
  }

  #input(
    state: CoreState,
    input: Input,
    { leases, waitingBytes }: Before,
    out: readonly Output[],
    first: number,
  ): void {
    switch (input.kind) {
      case 'submit': {
        // What comes back is never refused, and one payload alone is never too large.
        const { operations } = state;
        const most = Math.max(this.#options.limits.pendingBytesMax, waitingBytes);
        assert(
          operations.waitingBytes <= most || operations.waiting === 1,
          `I6: ${operations.waitingBytes} bytes of payloads wait after a submit, at most ${most}`,
        );
        return;
      }
      case 'session_closed':
        this.#closed.add(input.session);
        assert(
          !state.collectorOfSession.has(input.session),
          `I6: closed session ${input.session} is still a collector`,
        );
        for (const { spec, life } of state.tasks.values())
          assert(
            life.state !== 'in_progress' || life.collector?.session !== input.session,
            `I4: closed session ${input.session} still holds ${spec.id}`,
          );
        return;
      case 'cancel_wait': {
        const { session, id } = input.to;
        assert(state.waits.bySession.get(session)?.has(id) !== true, `a wait goes on that was cancelled`);
        return;
      }
      case 'register': {
        const { registration, to } = input;
        for (const [id, was] of leases) {
          const task = state.tasks.get(id);
          if (task?.life.state !== 'in_progress' || task.life.collector?.session !== to.session) continue;
          if (was.session === to.session) continue;
          const isRight = registration.leases.some(({ task_id, token }) => task_id === id && token === was.token);
          assert(isRight || task.token !== was.token, `I4: ${id} is reclaimed by a wrong token`);
          const isOwn = was.collectorId === registration.collector_id;
          assert(isOwn || task.token !== was.token, `I4: ${id} is reclaimed by another collector`);
        }
        return;
      }
      case 'complete':
      case 'fail': {
        const [id, token] =
          input.kind === 'complete' ? [input.taskId, input.token] : [input.failure.task_id, input.failure.token];
        const lease = leases.get(id);
        const isHeld = lease?.token === token && lease.session === input.to.session;
        const isTaken = out.some(
          (output, at) =>
            at >= first && output.kind === 'reply' && output.to === input.to && !('code' in output.outcome),
        );
        assert(isHeld || !isTaken, `I4: a stale answer for ${id} is taken`);
      }
    }
  }

  #assigned(state: CoreState, { spec, token, session }: Extract<Output, { kind: 'assign' }>): void {
    assert(!state.stopping, `task ${spec.id} is handed out while the broker stops`);
    assert(!this.#options.tokens.has(token), `I4: token ${token} is made twice`);
    this.#options.tokens.add(token);
    const collector = state.collectorOfSession.get(session);
    if (collector === undefined) return;
    const { collectorTasksMax } = this.#options.limits;
    const most = Math.min(collector.registration.max_concurrent_tasks, collectorTasksMax);
    assert(collector.tasks.size <= most, `I6: ${collector.id} is given a task beyond its ${most}`);
  }

  #moved(state: CoreState, input: Input, record: Moved, timedOut: Set<number>, now: Now): void {
    const { seq } = record;
    if (timedOut.delete(seq))
      assert(
        record.state === 'retrying' || record.state === 'dead_letter',
        `task ${seq} is ${record.state} at once after its attempt timed out`,
      );
    const readyAtMs = this.#readyAtMs.get(seq);
    this.#readyAtMs.delete(seq);
    if (readyAtMs !== undefined && record.state === 'pending')
      assert(now.monotonicMs >= readyAtMs, `task ${seq} is retried before its backoff is over`);
    if (record.state === 'retrying') this.#retrying(state, input, record, now);
  }

  #retrying(state: CoreState, input: Input, { seq, attempt, delayMs = 0, readyAtMs }: Moved, now: Now): void {
    const task = [...state.tasks.values()].find((one) => one.seq === seq);
    assert(task !== undefined, `task ${seq} is stored as retrying and has ended`);
    assert.equal(readyAtMs, now.wallMs + delayMs, `when retrying task ${seq} is ready`);
    this.#readyAtMs.set(seq, now.monotonicMs + delayMs);
    if (delayMs > 0) assert.equal(task.dueMs, now.monotonicMs + delayMs, `the deadline of retrying task ${seq}`);
    if (input.kind === 'fail' && input.failure.retry_after_ms !== undefined) {
      if (input.failure.task_id === task.spec.id) return assert.equal(delayMs, input.failure.retry_after_ms);
    }
    const most = mostBackoffMs(task, attempt);
    assert(delayMs <= most, `the backoff after attempt ${attempt} is ${delayMs} ms, at most ${most}`);
    if (most > 0) this.#options.backoffs.push({ attempt, part: delayMs / most });
  }
}

const mostBackoffMs = ({ spec }: Task, attempt: number): number =>
  Math.round(Math.min(spec.backoffBaseMs * 2 ** (attempt - 1), spec.backoffCapMs));
