/** How an attempt ends: completed, failed, lost. Only here does a task leave `in_progress`. */
import { fault } from '../protocol/fault.ts';
import type { AttemptOutcome } from '../protocol/schema.ts';
import type { TaskState } from '../protocol/state.ts';
import type { Now } from '../time/now.ts';
import { assignmentTopic, type Collector } from './collector.ts';
import { queueTask } from './dispatch.ts';
import { rememberEnded } from './ended.ts';
import { type Input, type Output, type ReplyTo, reply } from './input.ts';
import { armAttempt, heldBy, type TaskInProgress } from './lease.ts';
import { countTask, operationOf } from './operation.ts';
import { placements } from './placement.ts';
import { backoffMs } from './random.ts';
import type { CoreState } from './state.ts';
import { type Life, move, type Task, type TaskError } from './task.ts';
import { answerWaits } from './wait.ts';

export function complete(state: CoreState, input: Extract<Input, { kind: 'complete' }>, now: Now, out: Output[]): void {
  const { to, taskId, token, result } = input;
  const task = heldBy(state, to.session, taskId, token);
  if (task === undefined) return refuseStale(state, to, taskId, out);
  endAttempt(state, task, 'completed', undefined, now, out);
  state.totals.completed++;
  operationOf(state.operations, task.spec.operation).completed++;
  finish(state, task, 'completed', { error: undefined, result }, now, out);
  out.push(reply(to, { result: {} }));
}

export function failed(state: CoreState, input: Extract<Input, { kind: 'fail' }>, now: Now, out: Output[]): void {
  const { to, failure } = input;
  const { task_id, token, error, next, retry_after_ms } = failure;
  const task = heldBy(state, to.session, task_id, token);
  if (task === undefined) return refuseStale(state, to, task_id, out);
  const excluded = next === 'elsewhere' ? [...task.excluded, task.life.collectorId] : task.excluded;
  const change = { error, excluded };
  endAttempt(state, task, next === 'give_up' ? 'gave_up' : 'failed', error, now, out);
  if (next === 'give_up' || outOfRetries(task)) deadLetter(state, task, change, now, out);
  else if (next === 'elsewhere') requeue(state, task, change, now, out);
  else retryLater(state, task, change, retry_after_ms, now, out);
  out.push(reply(to, { result: { state: task.life.state } }));
}

/** The attempt is lost (connection, lease, silence): the task is pending again at once, unless it is out of retries. */
export function loseAttempt(
  state: CoreState,
  task: TaskInProgress,
  outcome: AttemptOutcome,
  message: string,
  now: Now,
  out: Output[],
): void {
  const error = { code: outcome, message };
  endAttempt(state, task, outcome, error, now, out);
  if (outOfRetries(task)) deadLetter(state, task, { error }, now, out);
  else requeue(state, task, { error }, now, out);
}

/** An in-progress task is due: its lease is over, its attempt took too long, or the grace after that passed. */
export function attemptDue(state: CoreState, task: TaskInProgress, now: Now, out: Output[]): void {
  const { life, spec } = task;
  const { collector, collectorId } = life;
  if (collector === undefined) {
    const message = `Collector ${collectorId} did not come back after the broker restarted.`;
    return loseAttempt(state, task, 'not_reclaimed', message, now, out);
  }
  if (now.monotonicMs >= life.leaseEndsAtMs) {
    cancelAttempt(collector, task, 'The lease ended.', out);
    return loseAttempt(state, task, 'lease_expired', `Collector ${collectorId} did not renew its lease.`, now, out);
  }
  if (life.cancelSentAtMs === undefined) {
    life.cancelSentAtMs = now.monotonicMs;
    cancelAttempt(collector, task, `The attempt took longer than ${spec.timeoutMs} ms.`, out);
    return armAttempt(state, task);
  }
  const message = `The attempt took longer than ${spec.timeoutMs} ms and did not stop when it was cancelled.`;
  const error = { code: 'timed_out', message };
  endAttempt(state, task, 'timed_out', error, now, out);
  if (outOfRetries(task)) deadLetter(state, task, { error }, now, out);
  else retryLater(state, task, { error }, undefined, now, out);
}

/** The backoff of a retrying task is over. */
export function backoffOver(state: CoreState, task: Task, now: Now, out: Output[]): void {
  countTask(state.operations, task, -1);
  becomePending(state, task, { error: task.error }, now, out);
}

/** What a move changes beside the state; the rest stays. */
interface Change {
  readonly error: TaskError | undefined;
  readonly excluded?: readonly string[];
  readonly result?: Uint8Array | undefined;
}

/** Ends the life of a task that is counted in no state any more. */
export function finish(
  state: CoreState,
  task: Task,
  to: Extract<TaskState, 'completed' | 'dead_letter' | 'cancelled'>,
  change: Change,
  now: Now,
  out: Output[],
): void {
  const { id } = task.spec;
  state.deadlines.delete(task);
  moveTo(task, { state: to }, change, now, out);
  state.tasks.delete(id);
  rememberEnded(state.ended, id, to, state.limits, now.wallMs);
  answerWaits(state, id, out);
}

const outOfRetries = (task: Task): boolean => task.attempt > task.spec.maxRetries;

export function cancelAttempt(collector: Collector, task: Task, reason: string, out: Output[]): void {
  const topic = assignmentTopic(collector);
  out.push({ kind: 'cancel_attempt', session: collector.session, topic, id: task.spec.id, token: task.token, reason });
}

export function endAttempt(
  state: CoreState,
  task: TaskInProgress,
  outcome: AttemptOutcome,
  error: TaskError | undefined,
  now: Now,
  out: Output[],
): void {
  const { seq, attempt, spec } = task;
  const { collector, collectorId, startedAtMs, timeoutAtMs, strategy } = task.life;
  countTask(state.operations, task, -1);
  state.deadlines.delete(task);
  const operation = operationOf(state.operations, spec.operation);
  if (error !== undefined) {
    state.totals.failed_attempts++;
    operation.failed++;
  }
  const ended = { attempt, collectorId, startedAtMs, endedAtMs: now.wallMs, outcome, error };
  out.push({ kind: 'record', record: { kind: 'attempt', seq, ...ended } });
  const ranMs = now.monotonicMs - (timeoutAtMs - spec.timeoutMs);
  if (strategy !== undefined) placements.get(strategy)?.learn?.(operation.memory, { collectorId, outcome, ranMs });
  if (collector === undefined) return;
  collector.tasks.delete(spec.id);
  if (outcome === 'completed') collector.completed++;
  else collector.failed++;
  state.freed.add(collector);
}

export function deadLetter(state: CoreState, task: Task, change: Change, now: Now, out: Output[]): void {
  state.totals.dead_lettered++;
  operationOf(state.operations, task.spec.operation).deadLetter++;
  finish(state, task, 'dead_letter', change, now, out);
}

function requeue(state: CoreState, task: Task, change: Change, now: Now, out: Output[]): void {
  state.totals.requeued++;
  becomePending(state, task, change, now, out);
}

function becomePending(state: CoreState, task: Task, change: Change, now: Now, out: Output[]): void {
  moveTo(task, { state: 'pending' }, change, now, out);
  queueTask(state, task);
}

function retryLater(
  state: CoreState,
  task: Task,
  change: Change,
  afterMs: number | undefined,
  now: Now,
  out: Output[],
): void {
  const { backoffBaseMs, backoffCapMs } = task.spec;
  const delayMs = afterMs ?? backoffMs(state.random, task.attempt, backoffBaseMs, backoffCapMs);
  moveTo(task, { state: 'retrying', readyAtMs: now.wallMs + delayMs, delayMs }, change, now, out);
  state.totals.retried++;
  countTask(state.operations, task, 1);
  state.deadlines.set(task, now.monotonicMs + delayMs);
}

function moveTo(task: Task, life: Life, change: Change, now: Now, out: Output[]): void {
  const { spec, seq, attempt, token } = task;
  const { error, excluded = task.excluded, result } = change;
  const { state } = life;
  const [readyAtMs, delayMs] = life.state === 'retrying' ? [life.readyAtMs, life.delayMs] : [undefined, undefined];
  const progress = { state, attempt, token, atMs: now.wallMs, collectorId: undefined, readyAtMs, delayMs };
  move(task, life, { kind: 'moved', seq, ...progress, error, excluded, result }, out);
  out.push({ kind: 'task_moved', spec, state, attempt, collectorId: undefined });
}

function refuseStale(state: CoreState, to: ReplyTo, taskId: string, out: Output[]): void {
  const task = state.tasks.get(taskId);
  const ended = state.ended.states.get(taskId);
  const why =
    task !== undefined
      ? `it is ${task.life.state} at attempt ${task.attempt}`
      : ended !== undefined
        ? `it is ${ended.state}`
        : 'it is not in progress';
  const message = `This lease on task ${taskId} is over: ${why}. Drop the attempt.`;
  out.push(reply(to, fault('stale_lease', message, { task_id: taskId })));
}
