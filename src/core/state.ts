/** Everything the core knows, and the words it hears (`Input`) and says (`Output`). No clock, no I/O, no chance but `random`. */
import type { Fault } from '../protocol/fault.ts';
import { defaultLimits, type Limits } from '../protocol/limits.ts';
import type { ParamsParsed } from '../protocol/message.ts';
import type { CollectorRegisterParsed, Submitted, Totals } from '../protocol/schema.ts';
import { uuidTimeMs } from '../protocol/uuid.ts';
import { Deadlines, type Due } from '../time/deadlines.ts';
import type { Collector, CollectorStatus } from './collector.ts';
import { canServe, classKey, enqueue, newClass, type TaskClass } from './queue.ts';
import type { Random } from './random.ts';
import type { StrategyMemory, StrategyName } from './strategy.ts';
import type { StoredTask, StoreRecord, Task, TaskSpec, TaskState } from './task.ts';

/** Whom to answer: a session, and the id of its request. */
export interface ReplyTo {
  readonly session: number;
  readonly id: number;
}

export type Input =
  | {
      readonly kind: 'submit';
      readonly to: ReplyTo;
      readonly specs: readonly (TaskSpec | Fault | Submitted)[];
      readonly batch: boolean;
    }
  | { readonly kind: 'cancel'; readonly to: ReplyTo; readonly id: string; readonly reason: string }
  | { readonly kind: 'wait'; readonly to: ReplyTo; readonly id: string; readonly deadlineMs: number }
  | { readonly kind: 'cancel_wait'; readonly to: ReplyTo }
  | { readonly kind: 'register'; readonly to: ReplyTo; readonly offer: CollectorRegisterParsed }
  | { readonly kind: 'heartbeat'; readonly to: ReplyTo; readonly said: ParamsParsed<'collector.heartbeat'> }
  | { readonly kind: 'deregister'; readonly to: ReplyTo; readonly force: boolean; readonly reason: string }
  | {
      readonly kind: 'complete';
      readonly to: ReplyTo;
      readonly taskId: string;
      readonly attempt: number;
      readonly result: Uint8Array | undefined;
    }
  | { readonly kind: 'fail'; readonly to: ReplyTo; readonly said: ParamsParsed<'task.fail'> }
  | {
      readonly kind: 'route';
      readonly to: ReplyTo;
      readonly strategy: StrategyName;
      readonly operation: string | undefined;
    }
  | { readonly kind: 'session_closed'; readonly session: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

export type Output =
  | { readonly kind: 'record'; readonly record: StoreRecord }
  | { readonly kind: 'reply'; readonly to: ReplyTo; readonly outcome: Fault | { readonly result: unknown } }
  /** The task that `to` waited for has ended; the answer is read from the store. */
  | { readonly kind: 'ended'; readonly to: ReplyTo; readonly id: string }
  | {
      readonly kind: 'assign';
      readonly session: number;
      readonly topic: string;
      readonly spec: TaskSpec;
      readonly attempt: number;
      readonly leaseMs: number;
    }
  | {
      readonly kind: 'cancel_attempt';
      readonly session: number;
      readonly topic: string;
      readonly id: string;
      readonly attempt: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'task_moved';
      readonly spec: TaskSpec;
      readonly state: TaskState;
      readonly attempt: number;
      readonly collectorId: string | undefined;
      readonly strategy?: StrategyName;
    }
  | {
      readonly kind: 'collector_changed';
      readonly id: string;
      readonly type: string;
      readonly status: CollectorStatus | 'gone';
      readonly reason: string;
    };

/** A caller that waits for the end of a task. */
export interface Waiter extends Due {
  readonly due: 'waiter';
  readonly to: ReplyTo;
  readonly taskId: string;
}

export interface OperationCounts {
  high: number;
  normal: number;
  low: number;
  retrying: number;
  inProgress: number;
  completed: number;
  failed: number;
  deadLetter: number;
}

export interface CoreState {
  readonly limits: Limits;
  readonly random: Random;
  nextSeq: number;
  /** Every task that has not ended. */
  readonly tasks: Map<string, Task>;
  /** The latest ended ones, id to state, so that a late duplicate or wait is answered without the store. */
  readonly ended: Map<string, TaskState>;
  /** An id whose time is not after this may belong to an ended task that is not in `finished`; only the store can tell. */
  dedupeHorizonMs: number;
  readonly classes: Map<string, TaskClass>;
  /** Classes that may have a task to hand out now. */
  readonly dirty: Set<TaskClass>;
  readonly collectors: Map<string, Collector>;
  readonly collectorOfSession: Map<number, Collector>;
  readonly draining: Set<Collector>;
  readonly waiters: Map<string, Set<Waiter>>;
  readonly deadlines: Deadlines<Task | Collector | Waiter>;
  strategy: StrategyName;
  readonly strategyByOperation: Map<string, StrategyName>;
  readonly strategyMemory: Map<string, StrategyMemory>;
  readonly decisionsByStrategy: Map<string, number>;
  readonly decisionsByCollector: Map<string, number>;
  readonly operations: Map<string, OperationCounts>;
  readonly totals: { -readonly [name in keyof Totals]: number };
  waiting: number;
  inProgress: number;
  stopping: boolean;
}

const endedMax = 20_000;
const classesMax = 1000;

export function newState(options: { seed?: number; limits?: Limits; dedupeHorizonMs?: number } = {}): CoreState {
  return {
    limits: options.limits ?? defaultLimits,
    random: { seed: options.seed ?? 1 },
    nextSeq: 1,
    tasks: new Map(),
    ended: new Map(),
    dedupeHorizonMs: options.dedupeHorizonMs ?? 0,
    classes: new Map(),
    dirty: new Set(),
    collectors: new Map(),
    collectorOfSession: new Map(),
    draining: new Set(),
    waiters: new Map(),
    deadlines: new Deadlines(),
    strategy: 'least_loaded',
    strategyByOperation: new Map(),
    strategyMemory: new Map(),
    decisionsByStrategy: new Map(),
    decisionsByCollector: new Map(),
    operations: new Map(),
    totals: {
      submitted: 0,
      assigned: 0,
      completed: 0,
      failed_attempts: 0,
      retried: 0,
      requeued: 0,
      dead_lettered: 0,
      cancelled: 0,
    },
    waiting: 0,
    inProgress: 0,
    stopping: false,
  };
}

export function operationCounts(state: CoreState, operation: string): OperationCounts {
  let counts = state.operations.get(operation);
  if (counts === undefined) {
    counts = { high: 0, normal: 0, low: 0, retrying: 0, inProgress: 0, completed: 0, failed: 0, deadLetter: 0 };
    state.operations.set(operation, counts);
  }
  return counts;
}

export const tierOf = (priority: number): 'high' | 'normal' | 'low' =>
  priority >= 200 ? 'high' : priority >= 100 ? 'normal' : 'low';

/** Counts a task into (+1) or out of (−1) the state it is in. Every gauge is kept here and nowhere else. */
export function countTask(state: CoreState, task: Task, by: 1 | -1): void {
  const counts = operationCounts(state, task.spec.operation);
  if (task.phase.state === 'pending') counts[tierOf(task.spec.priority)] += by;
  else if (task.phase.state === 'retrying') counts.retrying += by;
  else if (task.phase.state === 'in_progress') {
    counts.inProgress += by;
    state.inProgress += by;
    return;
  } else return;
  state.waiting += by;
}

/** The class of a task, made when it is new. */
export function classOf(state: CoreState, spec: TaskSpec, excluded: readonly string[]): TaskClass {
  const key = classKey(spec, excluded);
  let cls = state.classes.get(key);
  if (cls === undefined) {
    if (state.classes.size >= classesMax) pruneClasses(state);
    cls = newClass(key, spec, excluded);
    state.classes.set(key, cls);
    for (const collector of state.collectors.values()) linkClass(collector, cls);
  }
  return cls;
}

/** Notes the class and the collector in each other when the one can serve the other. */
export function linkClass(collector: Collector, cls: TaskClass): void {
  if (!canServe(collector, cls) || collector.classes.has(cls)) return;
  collector.classes.add(cls);
  cls.collectors.push(collector);
  cls.collectors.sort((a, b) => (a.id < b.id ? -1 : 1));
}

export function unlinkClasses(collector: Collector): void {
  for (const cls of collector.classes) cls.collectors = cls.collectors.filter((other) => other !== collector);
  collector.classes.clear();
}

function pruneClasses(state: CoreState): void {
  for (const [key, cls] of state.classes) {
    if (cls.size > 0) continue;
    state.classes.delete(key);
    state.dirty.delete(cls);
    for (const collector of cls.collectors) collector.classes.delete(cls);
  }
}

/** Puts a task that has become pending into its queue and marks the queue as worth a look. */
export function queueTask(state: CoreState, task: Task): void {
  task.class = classOf(state, task.spec, task.excluded);
  enqueue(task);
  countTask(state, task, 1);
  state.dirty.add(task.class);
}

/** Remembers an ended task for a while, in bounded memory. */
export function rememberEnded(state: CoreState, id: string, ended: TaskState): void {
  state.ended.set(id, ended);
  if (state.ended.size <= endedMax) return;
  const forgotten = state.ended.keys().next().value!;
  state.ended.delete(forgotten);
  // The time in the id, not the time of the submit: a caller's clock may run ahead.
  state.dedupeHorizonMs = Math.max(state.dedupeHorizonMs, uuidTimeMs(forgotten));
}

/** Rebuilds the state from what the store kept. In-progress tasks wait a grace for their collectors to come back. */
export function recover(
  state: CoreState,
  stored: readonly StoredTask[],
  settings: ReadonlyMap<string, string>,
  nextSeq: number,
  nowMs: number,
): void {
  state.nextSeq = nextSeq;
  for (const [key, value] of settings) {
    if (key === 'routing.strategy') state.strategy = value as StrategyName;
    else if (key.startsWith('routing.strategy.'))
      state.strategyByOperation.set(key.slice('routing.strategy.'.length), value as StrategyName);
  }
  for (const kept of stored) {
    const task: Task = {
      due: 'task',
      dueMs: 0,
      dueIndex: -1,
      spec: kept.spec,
      seq: kept.seq,
      submittedAtMs: kept.submittedAtMs,
      attempt: kept.attempt,
      phase: { state: 'pending' },
      excluded: kept.excluded,
      lastError: kept.error,
      class: undefined as unknown as TaskClass, // set by queueTask before anybody reads it
      pendingIndex: -1,
    };
    state.tasks.set(kept.spec.id, task);
    if (kept.state === 'pending') {
      queueTask(state, task);
      continue;
    }
    if (kept.state === 'retrying') {
      task.phase = { state: 'retrying', readyAtMs: kept.readyAtMs ?? nowMs };
      state.deadlines.set(task, kept.readyAtMs ?? nowMs);
    } else {
      const untilMs = nowMs + state.limits.reclaimGraceMs;
      task.phase = {
        state: 'in_progress',
        collector: undefined,
        collectorId: kept.collectorId ?? '',
        startedAtMs: kept.atMs,
        leaseEndsAtMs: untilMs,
        cancelSentAtMs: undefined,
      };
      state.deadlines.set(task, untilMs);
    }
    countTask(state, task, 1);
  }
}
