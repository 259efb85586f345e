/** Handing out: the best pending task that somebody can take now, until there is none. */
import { acceptsPriority, assignmentTopic, type Collector, credit } from './collector.ts';
import { dequeue, type TaskClass } from './queue.ts';
import { type CoreState, countTask, type Output } from './state.ts';
import { type StrategyName, strategies } from './strategy.ts';
import { move, type Task } from './task.ts';

/**
 * Runs to a fixed point: afterwards no pending task has a collector that could take it now (invariant I7). Between
 * classes the higher priority goes first, then the older task. A class nobody can take from leaves `dirty` and comes
 * back when a collector of it gains credit.
 */
export function dispatch(state: CoreState, nowMs: number, out: Output[]): void {
  if (state.stopping) {
    state.dirty.clear();
    return;
  }
  while (state.dirty.size > 0) {
    let best: { task: Task; candidates: Collector[] } | undefined;
    for (const cls of state.dirty) {
      const next = nextAssignable(state, cls);
      if (next === undefined) state.dirty.delete(cls);
      else if (best === undefined || goesBefore(next.task, best.task)) best = next;
    }
    if (best !== undefined) assign(state, best.task, best.candidates, nowMs, out);
  }
}

const goesBefore = (a: Task, b: Task): boolean =>
  a.spec.priority > b.spec.priority || (a.spec.priority === b.spec.priority && a.seq < b.seq);

function nextAssignable(state: CoreState, cls: TaskClass): { task: Task; candidates: Collector[] } | undefined {
  for (const level of cls.levels) {
    const free = cls.collectors.filter(
      (one) => credit(one, state.limits.collectorTasksMax) > 0 && acceptsPriority(one, level),
    );
    if (free.length === 0) continue;
    const healthy = free.filter(({ status }) => status === 'healthy');
    return { task: cls.pending.get(level)![0]!, candidates: healthy.length > 0 ? healthy : free };
  }
  return undefined;
}

export const strategyFor = (state: CoreState, operation: string): StrategyName =>
  state.strategyByOperation.get(operation) ?? state.strategy;

function choose(
  state: CoreState,
  operation: string,
  candidates: Collector[],
): { collector: Collector; strategy: StrategyName } {
  const strategy = strategyFor(state, operation);
  const key = `${strategy} ${operation}`;
  let memory = state.strategyMemory.get(key);
  if (memory === undefined) {
    memory = { lastId: '' };
    state.strategyMemory.set(key, memory);
  }
  return { collector: strategies[strategy](candidates, memory), strategy };
}

function assign(state: CoreState, task: Task, candidates: Collector[], nowMs: number, out: Output[]): void {
  const { collector, strategy } = choose(state, task.spec.operation, candidates);
  dequeue(task);
  countTask(state, task, -1);
  task.attempt++;
  move(task, {
    state: 'in_progress',
    collector,
    collectorId: collector.id,
    startedAtMs: nowMs,
    leaseEndsAtMs: nowMs + state.limits.leaseMs,
    cancelSentAtMs: undefined,
  });
  countTask(state, task, 1);
  collector.tasks.set(task.spec.id, task);
  collector.lastAssignedAtMs = nowMs;
  state.deadlines.set(task, Math.min(nowMs + state.limits.leaseMs, nowMs + task.spec.timeoutMs));
  state.totals.assigned++;
  state.decisionsByStrategy.set(strategy, (state.decisionsByStrategy.get(strategy) ?? 0) + 1);
  state.decisionsByCollector.set(collector.id, (state.decisionsByCollector.get(collector.id) ?? 0) + 1);
  out.push(
    {
      kind: 'record',
      record: {
        kind: 'moved',
        seq: task.seq,
        state: 'in_progress',
        attempt: task.attempt,
        atMs: nowMs,
        collectorId: collector.id,
        readyAtMs: undefined,
        error: task.lastError,
        excluded: task.excluded,
        result: undefined,
      },
    },
    {
      kind: 'assign',
      session: collector.session,
      topic: assignmentTopic(collector),
      spec: task.spec,
      attempt: task.attempt,
      leaseMs: state.limits.leaseMs,
    },
    {
      kind: 'task_moved',
      spec: task.spec,
      state: 'in_progress',
      attempt: task.attempt,
      collectorId: collector.id,
      strategy,
    },
  );
}
