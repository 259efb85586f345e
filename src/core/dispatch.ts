/**
 * Handing out: the best pending task that a collector can take now, until there is none (invariant I7). Between classes
 * the higher priority goes first, then the older task. Two things make work: tasks that became pending mark their class
 * as ready, and collectors that gained credit bring the class with their best task. A class whose first task no
 * collector can take now goes behind those that have a better one than its next; a class that no collector can take
 * from is parked with the collectors that fit it.
 */

import type { Now } from '../time/now.ts';
import { assignmentTopic, type Collector } from './collector.ts';
import type { Output } from './input.ts';
import { armAttempt, isInProgress, nextToken } from './lease.ts';
import { acceptsPriority, preferred, refusal, unavailable } from './match.ts';
import { countTask } from './operation.ts';
import { bestClass, park } from './pairing.ts';
import { placements } from './placement.ts';
import { type CoreState, countWritten } from './state.ts';
import { move, type Task } from './task.ts';
import { classOf, dequeue, enqueue, markReady, type TaskClass } from './task-class.ts';

/** Puts a task that has become pending into its queue. */
export function queueTask(state: CoreState, task: Task): void {
  enqueue(state.classes, classOf(state.classes, state.operations, state.collectors.values(), task), task);
  countTask(state.operations, task, 1);
}

/** @param most stops when the step has written so many bytes; it is unfinished then. */
export function dispatch(state: CoreState, now: Now, out: Output[], most: number): void {
  const { ready } = state.classes;
  if (state.stopping) {
    state.freed.clear();
    while (ready.size > 0) ready.pop();
    return;
  }
  for (;;) {
    for (const collector of state.freed) bringWork(state, collector);
    const cls = ready.first;
    if (cls === undefined) return;
    if (state.written > most) {
      state.unfinished = true;
      return;
    }
    const next = nextAssignable(state, cls);
    if (next === undefined) {
      ready.pop();
      park(cls);
    } else if (next.task.seq === cls.readySeq) {
      place(state, next.task, next.candidates, now, out);
      countWritten(state, out);
    } else markReady(state.classes, cls, next.task);
  }
}

/** Marks the class with the collector's best task as ready, while it has credit. */
function bringWork(state: CoreState, collector: Collector): void {
  const cls = unavailable(collector, state.limits) === undefined ? bestClass(collector) : undefined;
  if (cls === undefined) state.freed.delete(collector);
  else if (cls.readyIndex === -1) markReady(state.classes, cls);
}

/** The first task of the class that can be handed out now, and the collector. The collectors of a class fit it already. */
function nextAssignable(
  state: CoreState,
  cls: TaskClass,
): { task: Task; candidates: readonly Collector[] } | undefined {
  const free: Collector[] = [];
  for (const { collector } of cls.pairings)
    if (unavailable(collector, state.limits) === undefined) free.push(collector);
  if (free.length === 0) return undefined;
  for (const level of cls.levels) {
    const able = free.filter((collector) => acceptsPriority(collector, level));
    if (able.length > 0) return { task: cls.pending.get(level)!.first!, candidates: preferred(able) };
  }
  return undefined;
}

const strategyFor = (state: CoreState, operation: string): string =>
  state.operations.byName.get(operation)?.strategy ?? state.strategy;

/** Lets the operation's placement plan, and carries out what still fits; what does not is dropped and counted. */
function place(state: CoreState, task: Task, candidates: readonly Collector[], now: Now, out: Output[]): void {
  const { memory } = task.class!.operation;
  const problem = { tasks: [{ task, candidates }], memory, random: state.random };
  const strategy = strategyFor(state, task.spec.operation);
  let placed = false;
  for (const planned of placements.get(strategy)!.plan(problem)) {
    const isFit = fits(state, planned.task, planned.collector);
    if (isFit) assign(state, planned.task, planned.collector, strategy, now, out);
    else state.plansDropped++;
    placed ||= isFit && planned.task === task;
  }
  if (placed) return;
  // A plan that leaves the task out must not leave it waiting beside a collector that is still free.
  const left = candidates.find((collector) => fits(state, task, collector));
  if (left !== undefined) assign(state, task, left, strategy, now, out);
}

/** Whether both are still here, and the collector can take the task now. */
const fits = (state: CoreState, task: Task, collector: Collector): boolean =>
  task.life.state === 'pending' &&
  state.tasks.get(task.spec.id) === task &&
  state.collectors.get(collector.id) === collector &&
  refusal(collector, task.class!, task.spec.priority, state.limits) === undefined;

function assign(state: CoreState, task: Task, collector: Collector, strategy: string, now: Now, out: Output[]): void {
  const { leaseMs } = state.limits;
  const { spec, seq, excluded, error } = task;
  const [attempt, token] = [task.attempt + 1, nextToken(state.tokens)];
  dequeue(state.classes, task);
  countTask(state.operations, task, -1);
  const life = {
    state: 'in_progress',
    collector,
    collectorId: collector.id,
    startedAtMs: now.wallMs,
    strategy,
    timeoutAtMs: now.monotonicMs + spec.timeoutMs,
    leaseEndsAtMs: now.monotonicMs + leaseMs,
    cancelSentAtMs: undefined,
  } as const;
  const moved = {
    kind: 'moved',
    seq,
    state: 'in_progress',
    attempt,
    token,
    atMs: now.wallMs,
    collectorId: collector.id,
    readyAtMs: undefined,
    delayMs: undefined,
    error,
    excluded,
    result: undefined,
  } as const;
  move(task, life, moved, out);
  countTask(state.operations, task, 1);
  collector.tasks.set(spec.id, task);
  collector.assigned++;
  collector.lastAssigned = ++state.totals.assigned;
  collector.unreadBytes += spec.payload.length;
  if (isInProgress(task)) armAttempt(state, task);
  state.decisions.set(strategy, (state.decisions.get(strategy) ?? 0) + 1);
  out.push(
    {
      kind: 'assign',
      session: collector.session,
      topic: assignmentTopic(collector),
      spec,
      payload: spec.payload,
      attempt,
      token,
      leaseMs,
    },
    { kind: 'task_moved', spec, state: 'in_progress', attempt, collectorId: collector.id, strategy },
  );
}
