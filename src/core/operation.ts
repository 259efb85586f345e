/**
 * An operation, which is also the queue of its pending tasks: its counts, and how its tasks are placed. All that is
 * kept per operation is here. One without live tasks and without a strategy of its own is idle; `prune.ts` drops the
 * longest idle ones when there are more than `operationsMax`.
 */
import type { Limits } from '../protocol/limits.ts';
import type { PlacementMemory } from './placement.ts';
import type { Task } from './task.ts';
import type { TaskClass } from './task-class.ts';

export interface Operation {
  readonly name: string;
  high: number;
  normal: number;
  low: number;
  retrying: number;
  inProgress: number;
  completed: number;
  failed: number;
  deadLetter: number;
  /** Chosen for this operation alone. */
  strategy: string | undefined;
  readonly memory: PlacementMemory;
  /** Its classes, the empty ones too. */
  readonly classes: Set<TaskClass>;
}

export interface Operations {
  readonly byName: Map<string, Operation>;
  /** Those without live tasks and settings, the longest idle first. */
  readonly idle: Set<Operation>;
  /** Over all operations. */
  waiting: number;
  inProgress: number;
  /** Of the payloads of waiting tasks. */
  waitingBytes: number;
}

export const newOperations = (): Operations => ({
  byName: new Map(),
  idle: new Set(),
  waiting: 0,
  inProgress: 0,
  waitingBytes: 0,
});

export const tierOf = (priority: number): 'high' | 'normal' | 'low' =>
  priority >= 200 ? 'high' : priority >= 100 ? 'normal' : 'low';

/** Whether a task of this operation would be one operation with tasks or settings too many. */
export const operationsFull = ({ byName, idle }: Operations, name: string, limits: Limits): boolean => {
  const known = byName.get(name);
  return (known === undefined || idle.has(known)) && byName.size - idle.size >= limits.operationsMax;
};

/** The operation, made when it is new. */
export function operationOf(operations: Operations, name: string): Operation {
  const known = operations.byName.get(name);
  if (known !== undefined) return known;
  const operation: Operation = {
    name,
    high: 0,
    normal: 0,
    low: 0,
    retrying: 0,
    inProgress: 0,
    completed: 0,
    failed: 0,
    deadLetter: 0,
    strategy: undefined,
    memory: { lastId: '' },
    classes: new Set(),
  };
  operations.byName.set(name, operation);
  operations.idle.add(operation);
  return operation;
}

export const pendingOf = ({ high, normal, low }: Operation): number => high + normal + low;
export const liveOf = (operation: Operation): number =>
  pendingOf(operation) + operation.retrying + operation.inProgress;

/** Files the operation as idle or not, after its tasks or its settings changed. */
export function fileOperation(operations: Operations, operation: Operation): void {
  const isIdle = liveOf(operation) === 0 && operation.strategy === undefined;
  if (isIdle === operations.idle.has(operation)) return;
  if (isIdle) operations.idle.add(operation);
  else operations.idle.delete(operation);
}

/** Counts a task into (+1) or out of (−1) the state it is in. Every gauge is kept here and nowhere else. */
export function countTask(operations: Operations, task: Task, by: 1 | -1): void {
  const operation = operationOf(operations, task.spec.operation);
  const { state } = task.life;
  if (state === 'in_progress') {
    operation.inProgress += by;
    operations.inProgress += by;
  } else if (state === 'pending' || state === 'retrying') {
    if (state === 'pending') operation[tierOf(task.spec.priority)] += by;
    else operation.retrying += by;
    operations.waiting += by;
    operations.waitingBytes += by * task.spec.payload.length;
  }
  fileOperation(operations, operation);
}
