/** Tasks coming in, being waited for, and being called off. */
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import type { Submitted } from '../protocol/schema.ts';
import { finish } from './attempt.ts';
import { dispatch } from './dispatch.ts';
import { dequeue, type TaskClass, tasksBefore } from './queue.ts';
import { type CoreState, countTask, type Input, type Output, queueTask, type Waiter } from './state.ts';
import { isTerminal, type Task, type TaskSpec } from './task.ts';

export function submit(
  state: CoreState,
  input: Extract<Input, { kind: 'submit' }>,
  nowMs: number,
  out: Output[],
): void {
  const accepted = input.specs.map((spec) =>
    isFault(spec) || 'duplicate' in spec ? spec : accept(state, spec, nowMs, out),
  );
  // Hand out first, so that the reply can say where the task went.
  dispatch(state, nowMs, out);
  const outcomes = accepted.map((one) =>
    isFault(one) || 'duplicate' in one ? one : describe(state, one.task, one.before),
  );
  const first = outcomes[0]!;
  out.push({
    kind: 'reply',
    to: input.to,
    outcome: input.batch ? { result: { outcomes } } : isFault(first) ? first : { result: first },
  });
}

export function cancel(
  state: CoreState,
  input: Extract<Input, { kind: 'cancel' }>,
  nowMs: number,
  out: Output[],
): void {
  const { to, id } = input;
  const task = state.tasks.get(id);
  if (task === undefined) return refuseEnded(state, to, id, out);
  if (task.phase.state === 'in_progress') {
    out.push({
      kind: 'reply',
      to,
      outcome: fault(
        'wrong_state',
        `Task ${id} is in progress at ${task.phase.collectorId}; only a waiting task can be cancelled.`,
        { state: 'in_progress' },
      ),
    });
    return;
  }
  if (task.phase.state === 'pending') dequeue(task);
  countTask(state, task, -1);
  state.totals.cancelled++;
  finish(
    state,
    task,
    { state: 'cancelled' },
    { result: undefined, error: { code: 'cancelled', message: input.reason || 'cancelled by a caller' } },
    nowMs,
    out,
  );
  out.push({ kind: 'reply', to, outcome: { result: { id, state: 'cancelled' } } });
}

export function wait(state: CoreState, input: Extract<Input, { kind: 'wait' }>, out: Output[]): void {
  if (!state.tasks.has(input.id)) {
    out.push({ kind: 'ended', to: input.to, id: input.id });
    return;
  }
  const waiter: Waiter = { due: 'waiter', dueMs: 0, dueIndex: -1, to: input.to, taskId: input.id };
  const others = state.waiters.get(input.id);
  if (others === undefined) state.waiters.set(input.id, new Set([waiter]));
  else others.add(waiter);
  state.deadlines.set(waiter, input.deadlineMs);
}

export function waitDue(state: CoreState, waiter: Waiter, out: Output[]): void {
  dropWaiter(state, waiter);
  const task = state.tasks.get(waiter.taskId)!;
  out.push({
    kind: 'reply',
    to: waiter.to,
    outcome: fault(
      'deadline_exceeded',
      `Task ${waiter.taskId} is still ${task.phase.state}. It goes on; wait again, or look with task.show.`,
      { state: task.phase.state },
    ),
  });
}

/** The caller cancelled its request; only a wait can still be open. */
export function cancelWait(state: CoreState, to: { session: number; id: number }): void {
  for (const waiters of state.waiters.values())
    for (const waiter of waiters)
      if (waiter.to.session === to.session && waiter.to.id === to.id) dropWaiter(state, waiter);
}

function dropWaiter(state: CoreState, waiter: Waiter): void {
  state.deadlines.delete(waiter);
  const waiters = state.waiters.get(waiter.taskId);
  waiters?.delete(waiter);
  if (waiters?.size === 0) state.waiters.delete(waiter.taskId);
}

function accept(
  state: CoreState,
  spec: TaskSpec,
  nowMs: number,
  out: Output[],
): { task: Task; before: number } | Submitted | Fault {
  const known = state.tasks.get(spec.id)?.phase.state ?? state.ended.get(spec.id);
  if (known !== undefined) return { id: spec.id, state: known, duplicate: true };
  if (state.stopping)
    return fault('shutting_down', 'The broker is stopping and takes no new tasks.', { retry_after_ms: 1000 });
  if (state.waiting >= state.limits.pendingMax)
    return fault('queue_full', `${state.waiting} tasks wait already; the limit is ${state.limits.pendingMax}.`, {
      retry_after_ms: 1000,
      limit: state.limits.pendingMax,
    });
  const task: Task = {
    due: 'task',
    dueMs: 0,
    dueIndex: -1,
    spec,
    seq: state.nextSeq++,
    submittedAtMs: nowMs,
    attempt: 0,
    phase: { state: 'pending' },
    excluded: [],
    lastError: undefined,
    class: undefined as unknown as TaskClass, // set by queueTask before anybody reads it
    pendingIndex: -1,
  };
  state.tasks.set(spec.id, task);
  state.totals.submitted++;
  queueTask(state, task);
  out.push(
    { kind: 'record', record: { kind: 'submitted', seq: task.seq, spec, submittedAtMs: nowMs } },
    { kind: 'task_moved', spec, state: 'pending', attempt: 0, collectorId: undefined },
  );
  return { task, before: tasksBefore(task) };
}

function describe(state: CoreState, task: Task, before: number): Submitted {
  const { id, operation } = task.spec;
  if (task.phase.state === 'in_progress')
    return { id, state: 'in_progress', collector_id: task.phase.collectorId, duplicate: false };
  const position = Math.min(before, task.class.size - 1); // some that went before may have been handed out since
  if (servable(task.class, task.spec.priority)) return { id, state: 'pending', position, duplicate: false };
  const asked = [
    operation,
    task.spec.collectorId && `collector ${task.spec.collectorId}`,
    task.spec.collectorType && `type ${task.spec.collectorType}`,
    ...task.spec.requires,
  ]
    .filter(Boolean)
    .join(', ');
  const here =
    state.collectors.size === 0 ? 'No collector is registered.' : `${state.collectors.size} are registered, none fits.`;
  return {
    id,
    state: 'pending',
    position,
    duplicate: false,
    warning: {
      code: 'no_capable_collector',
      message: `No collector can ever serve this (${asked}). ${here} The task waits for one.`,
    },
  };
}

/** Whether some registered collector could serve it, sooner or later. */
export const servable = (cls: TaskClass, priority: number): boolean =>
  cls.collectors.some(({ offer }) => offer.priority_levels.some(([low, high]) => priority >= low && priority <= high));

function refuseEnded(state: CoreState, to: { session: number; id: number }, id: string, out: Output[]): void {
  const ended = state.ended.get(id);
  const outcome =
    ended !== undefined && isTerminal(ended)
      ? fault('wrong_state', `Task ${id} is already ${ended}.`, { state: ended })
      : fault('not_found', `No task ${id} is waiting or in progress.`, { id });
  out.push({ kind: 'reply', to, outcome });
}
