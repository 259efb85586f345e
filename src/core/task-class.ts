/**
 * Pending tasks, grouped by what a collector must be to serve them (their class), so that a task that no
 * collector can serve never delays one that can be served. Inside a class: one heap per priority, by acceptance.
 */
import { Heap, type HeapOrder } from '../time/heap.ts';
import type { Collector } from './collector.ts';
import { mismatch } from './match.ts';
import { type Operation, type Operations, operationOf } from './operation.ts';
import { goesBefore, type Pairing, pair, unpairClass } from './pairing.ts';
import type { Task, TaskSpec } from './task.ts';

export interface TaskClass {
  readonly key: string;
  readonly operation: Operation;
  readonly requires: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly collectorType: string | undefined;
  readonly collectorId: string | undefined;
  readonly excluded: readonly string[];
  /** Derived: the registered collectors that fit, in the stable order of their ids. */
  pairings: Pairing[];
  /** Pending tasks by priority; `levels` lists the priorities that have any, highest first. */
  readonly pending: Map<number, Heap<Task>>;
  levels: number[];
  size: number;
  /** The best that may be handed out here now: a priority and an order of acceptance. Kept only while it is ready. */
  readyPriority: number;
  readySeq: number;
  /** Its place among the classes that may have a task to hand out now; -1 when it is not among them. */
  readyIndex: number;
}

export interface Classes {
  readonly byKey: Map<string, TaskClass>;
  /** Without pending tasks, the longest empty first. */
  readonly empty: Set<TaskClass>;
  /** Those that may have a task to hand out now, the one whose task may be the best first. */
  readonly ready: Heap<TaskClass>;
}

const taskOrder: HeapOrder<Task> = {
  before: (a, b) => a.seq < b.seq,
  indexOf: ({ pendingIndex }) => pendingIndex,
  setIndex: (task, index) => {
    task.pendingIndex = index;
  },
};

export const newClasses = (): Classes => ({
  byKey: new Map(),
  empty: new Set(),
  ready: new Heap<TaskClass>({
    before: (a, b) => goesBefore(a.readyPriority, a.readySeq, b.readyPriority, b.readySeq),
    indexOf: ({ readyIndex }) => readyIndex,
    setIndex: (cls, index) => {
      cls.readyIndex = index;
    },
  }),
});

const headOf = (cls: TaskClass): Task => cls.pending.get(cls.levels[0]!)!.first!;

/** Marks a class that is not empty as one that may have a task to hand out: `best`, or one after it. */
export function markReady({ ready }: Classes, cls: TaskClass, best = headOf(cls)): void {
  cls.readyPriority = best.spec.priority;
  cls.readySeq = best.seq;
  ready.set(cls);
}

export function classKey(spec: TaskSpec, excluded: readonly string[]): string {
  const { operation, requires, labels, collectorType, collectorId } = spec;
  const isPlain = requires.length === 0 && excluded.length === 0 && collectorType === undefined;
  if (isPlain && collectorId === undefined && isEmpty(labels)) return operation;
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = [
    operation,
    requires.toSorted(),
    sorted,
    collectorType ?? null,
    collectorId ?? null,
    excluded.toSorted(),
  ];
  return JSON.stringify(parts);
}

function isEmpty(map: object): boolean {
  for (const _ in map) return false;
  return true;
}

/** The class of a task, made when it is new. */
export function classOf(
  classes: Classes,
  operations: Operations,
  collectors: Iterable<Collector>,
  task: Task,
): TaskClass {
  const { spec, excluded } = task;
  const key = classKey(spec, excluded);
  const known = classes.byKey.get(key);
  if (known !== undefined) return known;
  const { requires, labels, collectorType, collectorId } = spec;
  const operation = operationOf(operations, spec.operation);
  const cls: TaskClass = {
    key,
    operation,
    requires,
    labels,
    collectorType,
    collectorId,
    excluded,
    pairings: [],
    pending: new Map(),
    levels: [],
    size: 0,
    readyPriority: 0,
    readySeq: 0,
    readyIndex: -1,
  };
  classes.byKey.set(key, cls);
  operation.classes.add(cls);
  for (const collector of collectors) if (mismatch(collector, cls) === undefined) pair(collector, cls);
  return cls;
}

/** Drops a class without pending tasks. */
export function dropClass(classes: Classes, cls: TaskClass): void {
  classes.empty.delete(cls);
  classes.byKey.delete(cls.key);
  cls.operation.classes.delete(cls);
  unpairClass(cls);
}

/** Puts a pending task into its class, in its order, and marks the class as worth a look. */
export function enqueue(classes: Classes, cls: TaskClass, task: Task): void {
  const { priority } = task.spec;
  task.class = cls;
  let heap = cls.pending.get(priority);
  if (heap === undefined) {
    heap = new Heap(taskOrder);
    cls.pending.set(priority, heap);
    cls.levels = [...cls.pending.keys()].sort((a, b) => b - a);
  }
  heap.set(task);
  if (cls.size++ === 0) classes.empty.delete(cls);
  markReady(classes, cls);
}

export function dequeue(classes: Classes, task: Task): void {
  const cls = task.class!;
  const { priority } = task.spec;
  const heap = cls.pending.get(priority)!;
  heap.delete(task);
  if (heap.size === 0) {
    cls.pending.delete(priority);
    cls.levels = cls.levels.filter((level) => level !== priority);
  }
  if (--cls.size === 0) {
    classes.ready.delete(cls);
    classes.empty.add(cls);
  } else if (cls.readyIndex !== -1) markReady(classes, cls);
}

/** How many pending tasks go before the next one of this priority. */
export function tasksBefore(cls: TaskClass, priority: number): number {
  let before = 0;
  for (const level of cls.levels) if (level >= priority) before += cls.pending.get(level)!.size;
  return before;
}
