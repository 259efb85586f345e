/** How an attempt ends: completed, failed, lost. Only here does a task leave `in_progress`. */
import { type Fault, fault } from '../protocol/fault.ts';
import type { AttemptOutcome } from '../protocol/schema.ts';
import { assignmentTopic, type Collector } from './collector.ts';
import { backoffMs } from './random.ts';
import {
  type CoreState,
  countTask,
  type Input,
  type Output,
  operationCounts,
  queueTask,
  rememberEnded,
} from './state.ts';
import { isTerminal, move, type Phase, type StoreRecord, type Task, type TaskError } from './task.ts';

type InProgress = Extract<Phase, { state: 'in_progress' }>;
type Moved = Extract<StoreRecord, { kind: 'moved' }>;

export function complete(
  state: CoreState,
  input: Extract<Input, { kind: 'complete' }>,
  nowMs: number,
  out: Output[],
): void {
  const task = heldBy(state, input.to.session, input.taskId, input.attempt);
  if (task === undefined) return refuseStale(state, input.to, input.taskId, input.attempt, out);
  endAttempt(state, task, 'completed', undefined, nowMs, out);
  state.totals.completed++;
  operationCounts(state, task.spec.operation).completed++;
  finish(state, task, { state: 'completed' }, { result: input.result, error: undefined }, nowMs, out);
  out.push({ kind: 'reply', to: input.to, outcome: { result: {} } });
}

export function failed(state: CoreState, input: Extract<Input, { kind: 'fail' }>, nowMs: number, out: Output[]): void {
  const { task_id, attempt, error, next, retry_after_ms } = input.said;
  const task = heldBy(state, input.to.session, task_id, attempt);
  if (task === undefined) return refuseStale(state, input.to, task_id, attempt, out);
  if (next === 'elsewhere') task.excluded = [...task.excluded, (task.phase as InProgress).collectorId];
  endAttempt(state, task, next === 'give_up' ? 'gave_up' : 'failed', error, nowMs, out);
  if (next === 'give_up' || outOfRetries(task)) deadLetter(state, task, nowMs, out);
  else if (next === 'elsewhere') backToPending(state, task, nowMs, out);
  else retryLater(state, task, retry_after_ms, nowMs, out);
  out.push({ kind: 'reply', to: input.to, outcome: { result: { state: task.phase.state } } });
}

/** The attempt is lost (connection, lease, silence): the task is pending again at once, unless it is out of retries. */
export function loseAttempt(
  state: CoreState,
  task: Task,
  outcome: AttemptOutcome,
  message: string,
  nowMs: number,
  out: Output[],
): void {
  endAttempt(state, task, outcome, { code: outcome, message }, nowMs, out);
  state.totals.requeued++;
  if (outOfRetries(task)) deadLetter(state, task, nowMs, out);
  else backToPending(state, task, nowMs, out);
}

/** Called when an in-progress task is due: its lease is over, its attempt took too long, or the grace after that passed. */
export function attemptDue(state: CoreState, task: Task, nowMs: number, out: Output[]): void {
  const phase = task.phase as InProgress;
  if (phase.collector === undefined)
    return loseAttempt(
      state,
      task,
      'not_reclaimed',
      `Collector ${phase.collectorId} did not come back after the broker restarted.`,
      nowMs,
      out,
    );
  if (nowMs >= phase.leaseEndsAtMs) {
    sayCancel(phase.collector, task, 'The lease ran out.', out);
    return loseAttempt(
      state,
      task,
      'lease_expired',
      `Collector ${phase.collectorId} did not renew its lease.`,
      nowMs,
      out,
    );
  }
  if (phase.cancelSentAtMs === undefined && nowMs >= phase.startedAtMs + task.spec.timeoutMs) {
    phase.cancelSentAtMs = nowMs;
    sayCancel(phase.collector, task, `The attempt is over its ${task.spec.timeoutMs} ms.`, out);
  } else if (phase.cancelSentAtMs !== undefined && nowMs >= phase.cancelSentAtMs + state.limits.cancelGraceMs) {
    endAttempt(
      state,
      task,
      'timed_out',
      {
        code: 'timed_out',
        message: `The attempt took longer than ${task.spec.timeoutMs} ms and did not stop when asked.`,
      },
      nowMs,
      out,
    );
    if (outOfRetries(task)) deadLetter(state, task, nowMs, out);
    else retryLater(state, task, undefined, nowMs, out);
    return;
  }
  state.deadlines.set(task, attemptDueMs(state, task, phase));
}

export function renew(state: CoreState, task: Task, nowMs: number): void {
  const phase = task.phase as InProgress;
  phase.leaseEndsAtMs = nowMs + state.limits.leaseMs;
  state.deadlines.set(task, attemptDueMs(state, task, phase));
}

/** The task, if this very attempt is held through this session. */
export function heldBy(state: CoreState, session: number, taskId: string, attempt: number): Task | undefined {
  const task = state.tasks.get(taskId);
  if (task?.phase.state !== 'in_progress' || task.attempt !== attempt || task.phase.collector?.session !== session)
    return undefined;
  return task;
}

/** A waiting task becomes pending: its backoff is over. */
export function backoffOver(state: CoreState, task: Task, nowMs: number, out: Output[]): void {
  countTask(state, task, -1);
  backToPending(state, task, nowMs, out);
}

/** Ends the life of a task that is counted in no waiting state any more. */
export function finish(
  state: CoreState,
  task: Task,
  phase: Phase,
  end: { result: Uint8Array | undefined; error: TaskError | undefined },
  nowMs: number,
  out: Output[],
): void {
  state.deadlines.delete(task);
  move(task, phase);
  state.tasks.delete(task.spec.id);
  rememberEnded(state, task.spec.id, phase.state);
  record(task, nowMs, end, out);
  for (const waiter of state.waiters.get(task.spec.id) ?? []) {
    state.deadlines.delete(waiter);
    out.push({ kind: 'ended', to: waiter.to, id: task.spec.id });
  }
  state.waiters.delete(task.spec.id);
}

const attemptDueMs = (state: CoreState, task: Task, phase: InProgress): number =>
  Math.min(
    phase.leaseEndsAtMs,
    phase.cancelSentAtMs === undefined
      ? phase.startedAtMs + task.spec.timeoutMs
      : phase.cancelSentAtMs + state.limits.cancelGraceMs,
  );

const outOfRetries = (task: Task): boolean => task.attempt > task.spec.maxRetries;

function sayCancel(collector: Collector, task: Task, reason: string, out: Output[]): void {
  out.push({
    kind: 'cancel_attempt',
    session: collector.session,
    topic: assignmentTopic(collector),
    id: task.spec.id,
    attempt: task.attempt,
    reason,
  });
}

function endAttempt(
  state: CoreState,
  task: Task,
  outcome: AttemptOutcome,
  error: TaskError | undefined,
  nowMs: number,
  out: Output[],
): void {
  const { collector, collectorId, startedAtMs } = task.phase as InProgress;
  countTask(state, task, -1);
  state.deadlines.delete(task);
  if (error !== undefined) {
    task.lastError = error;
    state.totals.failed_attempts++;
    operationCounts(state, task.spec.operation).failed++;
  }
  out.push({
    kind: 'record',
    record: {
      kind: 'attempt',
      seq: task.seq,
      attempt: task.attempt,
      collectorId,
      startedAtMs,
      endedAtMs: nowMs,
      outcome,
      error,
    },
  });
  if (collector === undefined) return;
  collector.tasks.delete(task.spec.id);
  if (outcome === 'completed') collector.completed++;
  else collector.failed++;
  // It has credit again: every class it serves may have something for it.
  for (const cls of collector.classes) if (cls.size > 0) state.dirty.add(cls);
}

function deadLetter(state: CoreState, task: Task, nowMs: number, out: Output[]): void {
  state.totals.dead_lettered++;
  operationCounts(state, task.spec.operation).deadLetter++;
  finish(state, task, { state: 'dead_letter' }, { result: undefined, error: task.lastError }, nowMs, out);
}

function backToPending(state: CoreState, task: Task, nowMs: number, out: Output[]): void {
  move(task, { state: 'pending' });
  queueTask(state, task);
  record(task, nowMs, { result: undefined, error: task.lastError }, out);
}

function retryLater(state: CoreState, task: Task, afterMs: number | undefined, nowMs: number, out: Output[]): void {
  const readyAtMs =
    nowMs + (afterMs ?? backoffMs(state.random, task.attempt, task.spec.backoffBaseMs, task.spec.backoffCapMs));
  move(task, { state: 'retrying', readyAtMs });
  state.totals.retried++;
  countTask(state, task, 1);
  state.deadlines.set(task, readyAtMs);
  record(task, nowMs, { result: undefined, error: task.lastError }, out);
}

function record(
  task: Task,
  nowMs: number,
  end: { result: Uint8Array | undefined; error: TaskError | undefined },
  out: Output[],
): void {
  const moved: Moved = {
    kind: 'moved',
    seq: task.seq,
    state: task.phase.state,
    attempt: task.attempt,
    atMs: nowMs,
    collectorId: undefined,
    readyAtMs: task.phase.state === 'retrying' ? task.phase.readyAtMs : undefined,
    error: end.error,
    excluded: task.excluded,
    result: end.result,
  };
  out.push(
    { kind: 'record', record: moved },
    { kind: 'task_moved', spec: task.spec, state: task.phase.state, attempt: task.attempt, collectorId: undefined },
  );
}

function refuseStale(
  state: CoreState,
  to: { session: number; id: number },
  taskId: string,
  attempt: number,
  out: Output[],
): void {
  const task = state.tasks.get(taskId);
  const ended = state.ended.get(taskId);
  const why =
    task !== undefined
      ? `it is ${task.phase.state} at attempt ${task.attempt}`
      : ended !== undefined && isTerminal(ended)
        ? `it is ${ended}`
        : 'it is not in progress';
  const refusal: Fault = fault(
    'stale_lease',
    `Attempt ${attempt} of task ${taskId} is not yours to end: ${why}. Drop it.`,
    { task_id: taskId, attempt },
  );
  out.push({ kind: 'reply', to, outcome: refusal });
}
