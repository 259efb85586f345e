/**
 * Pending tasks, grouped by what a collector must be to serve them (their class), so that a task that nobody can
 * serve never stands in front of one that somebody can. Inside a class: one heap per priority, by acceptance.
 */
import type { Collector } from './collector.ts';
import type { Task, TaskSpec } from './task.ts';

export interface TaskClass {
  readonly key: string;
  readonly operation: string;
  readonly requires: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly collectorType: string | undefined;
  readonly collectorId: string | undefined;
  readonly excluded: readonly string[];
  /** Derived: registered collectors that can serve it, in the stable order of their ids. */
  collectors: Collector[];
  /** Pending tasks by priority; `levels` lists the priorities that have any, highest first. */
  readonly pending: Map<number, Task[]>;
  levels: number[];
  size: number;
}

export function classKey(spec: TaskSpec, excluded: readonly string[]): string {
  if (
    spec.requires.length === 0 &&
    excluded.length === 0 &&
    spec.collectorType === undefined &&
    spec.collectorId === undefined &&
    isEmpty(spec.labels)
  )
    return spec.operation;
  const labels = Object.entries(spec.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    spec.operation,
    [...spec.requires].sort(),
    labels,
    spec.collectorType ?? null,
    spec.collectorId ?? null,
    [...excluded].sort(),
  ]);
}

function isEmpty(map: object): boolean {
  for (const _ in map) return false;
  return true;
}

export function newClass(key: string, spec: TaskSpec, excluded: readonly string[]): TaskClass {
  const { operation, requires, labels, collectorType, collectorId } = spec;
  return {
    key,
    operation,
    requires,
    labels,
    collectorType,
    collectorId,
    excluded,
    collectors: [],
    pending: new Map(),
    levels: [],
    size: 0,
  };
}

/** Whether the collector could ever serve the class, its health and load aside. */
export function canServe(collector: Collector, cls: TaskClass): boolean {
  const { offer } = collector;
  return (
    offer.operations.some(({ name }) => name === cls.operation) &&
    (cls.collectorType === undefined || cls.collectorType === offer.collector_type) &&
    (cls.collectorId === undefined || cls.collectorId === collector.id) &&
    cls.requires.every((need) => offer.capabilities.includes(need)) &&
    Object.entries(cls.labels).every(
      ([name, value]) => Object.hasOwn(offer.labels, name) && offer.labels[name] === value,
    ) &&
    !cls.excluded.includes(collector.id)
  );
}

/** Puts a pending task into its class, in its order. Appending in order of acceptance costs O(1). */
export function enqueue(task: Task): void {
  const { class: cls } = task;
  const { priority } = task.spec;
  let heap = cls.pending.get(priority);
  if (heap === undefined) {
    heap = [];
    cls.pending.set(priority, heap);
    cls.levels = [...cls.pending.keys()].sort((a, b) => b - a);
  }
  heap.push(task);
  siftUp(heap, heap.length - 1);
  cls.size++;
}

export function dequeue(task: Task): void {
  const { class: cls } = task;
  const heap = cls.pending.get(task.spec.priority)!;
  const at = task.pendingIndex;
  const last = heap.pop()!;
  task.pendingIndex = -1;
  cls.size--;
  if (last !== task) {
    heap[at] = last;
    last.pendingIndex = at;
    siftUp(heap, at);
    siftDown(heap, last.pendingIndex);
  } else if (heap.length === 0) {
    cls.pending.delete(task.spec.priority);
    cls.levels = cls.levels.filter((level) => level !== task.spec.priority);
  }
}

/** How many pending tasks of its class go before this one, which must be the latest accepted. */
export function tasksBefore(newest: Task): number {
  let before = 0;
  for (const level of newest.class.levels)
    if (level >= newest.spec.priority) before += newest.class.pending.get(level)!.length;
  return before - 1;
}

function siftUp(heap: Task[], at: number): void {
  const task = heap[at]!;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent]!;
    if (above.seq <= task.seq) break;
    heap[at] = above;
    above.pendingIndex = at;
    at = parent;
  }
  heap[at] = task;
  task.pendingIndex = at;
}

function siftDown(heap: Task[], at: number): void {
  const task = heap[at]!;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]!.seq < heap[child]!.seq) child++;
    const below = heap[child]!;
    if (below.seq >= task.seq) break;
    heap[at] = below;
    below.pendingIndex = at;
    at = child;
  }
  heap[at] = task;
  task.pendingIndex = at;
}
