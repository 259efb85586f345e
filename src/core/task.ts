/**
 * A task and the edges of its life. A task is in exactly one phase, and only `move` changes it, along an edge:
 *
 *     submit ─▶ pending ──assign──▶ in_progress ──▶ completed
 *                 ▲ ▲                  │  │  └────▶ dead_letter
 *                 │ └───lease lost─────┘  │            ▲
 *                 └──backoff over── retrying           │ out of retries, or given up
 *     cancelled ◀── from pending and retrying
 */
import assert from 'node:assert/strict';
import type { Params } from '../protocol/message.ts';
import type { AttemptOutcome } from '../protocol/schema.ts';
import type { Due } from '../time/deadlines.ts';
import type { Collector } from './collector.ts';
import type { TaskClass } from './queue.ts';

export type Phase =
  | { readonly state: 'pending' }
  | {
      readonly state: 'in_progress';
      readonly collector: Collector | undefined;
      readonly collectorId: string;
      readonly startedAtMs: number;
      leaseEndsAtMs: number;
      cancelSentAtMs: number | undefined;
    }
  | { readonly state: 'retrying'; readonly readyAtMs: number }
  | { readonly state: 'completed' }
  | { readonly state: 'dead_letter' }
  | { readonly state: 'cancelled' };

export type TaskState = Phase['state'];

/** From each state, the states that may follow. The diagram above and the page deye-tasks(7) say the same. */
export const taskEdges = {
  pending: ['in_progress', 'cancelled'],
  in_progress: ['completed', 'pending', 'retrying', 'dead_letter'],
  retrying: ['pending', 'cancelled'],
  completed: [],
  dead_letter: [],
  cancelled: [],
} as const satisfies Record<TaskState, readonly TaskState[]>;

export const isTerminal = (state: TaskState): boolean => taskEdges[state].length === 0;

export interface TaskError {
  readonly code: string;
  readonly message: string;
}

/** What the submitter said, with every default filled in. Never changes. */
export interface TaskSpec {
  readonly id: string;
  readonly operation: string;
  readonly priority: number;
  readonly requires: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly collectorType: string | undefined;
  readonly collectorId: string | undefined;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly correlation: NonNullable<Params<'task.submit'>['correlation']>;
  /** Encoded, as it came. */
  readonly payload: Uint8Array;
}

export interface Task extends Due {
  readonly due: 'task';
  readonly spec: TaskSpec;
  /** Order of acceptance; unique for the life of the store. */
  readonly seq: number;
  readonly submittedAtMs: number;
  /** How often it was handed out; also the fencing token of the latest attempt. */
  attempt: number;
  phase: Phase;
  /** Collectors that asked not to get it again. */
  excluded: readonly string[];
  lastError: TaskError | undefined;
  /** The group of tasks that the same collectors can serve. */
  class: TaskClass;
  /** Its place in the pending heap; -1 when it is in none. */
  pendingIndex: number;
}

export function move(task: Task, phase: Phase): void {
  const edges: readonly TaskState[] = taskEdges[task.phase.state];
  assert(edges.includes(phase.state), `task ${task.spec.id} cannot go from ${task.phase.state} to ${phase.state}`);
  task.phase = phase;
}

/** What must be on disk before anybody is told. The store's port takes these. */
export type StoreRecord =
  | { readonly kind: 'submitted'; readonly seq: number; readonly spec: TaskSpec; readonly submittedAtMs: number }
  | {
      readonly kind: 'moved';
      readonly seq: number;
      readonly state: TaskState;
      readonly attempt: number;
      readonly atMs: number;
      readonly collectorId: string | undefined;
      readonly readyAtMs: number | undefined;
      readonly error: TaskError | undefined;
      readonly excluded: readonly string[];
      readonly result: Uint8Array | undefined;
    }
  | {
      readonly kind: 'attempt';
      readonly seq: number;
      readonly attempt: number;
      readonly collectorId: string;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      readonly outcome: AttemptOutcome;
      readonly error: TaskError | undefined;
    }
  | { readonly kind: 'setting'; readonly key: string; readonly value: string }
  | { readonly kind: 'purge'; readonly endedBeforeMs: number };

/** A task that has not ended, as the store gives it back. */
export interface StoredTask {
  readonly seq: number;
  readonly spec: TaskSpec;
  readonly submittedAtMs: number;
  readonly state: TaskState;
  readonly attempt: number;
  readonly atMs: number;
  readonly collectorId: string | undefined;
  readonly readyAtMs: number | undefined;
  readonly error: TaskError | undefined;
  readonly excluded: readonly string[];
}
