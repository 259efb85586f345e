/**
 * A task and the edges of its life. A task is in exactly one state, and only `move` changes it, along an edge of
 * `stateTable`:
 *
 *     submit ─▶ pending ──assign──▶ in_progress ──▶ completed
 *                 ▲ ▲                  │  │  └────▶ dead_letter
 *                 │ └───lease lost─────┘  │            ▲
 *                 └──backoff over── retrying           │ out of retries, or given up
 *     cancelled ◀── from pending and retrying
 */
import assert from 'node:assert/strict';
import type { Params } from '../protocol/message.ts';
import { mayFollow } from '../protocol/state.ts';
import type { Due } from '../time/deadlines.ts';
import type { Collector } from './collector.ts';
import type { TaskClass } from './task-class.ts';

/** The state of a task, with what belongs to it. */
export type Life =
  | { readonly state: 'pending' }
  | Attempting
  | { readonly state: 'retrying'; readonly readyAtMs: number; readonly delayMs: number }
  | { readonly state: 'completed' }
  | { readonly state: 'dead_letter' }
  | { readonly state: 'cancelled' };

export interface Attempting {
  readonly state: 'in_progress';
  /** Undefined after a restart, until the collector reclaims it. */
  readonly collector: Collector | undefined;
  readonly collectorId: string;
  readonly startedAtMs: number;
  /** The placement that chose the collector and learns from the outcome. Undefined after a restart: its memory is gone. */
  readonly strategy: string | undefined;
  /** Monotonic: when the attempt is over its timeout, when its lease ends, when its cancel was sent. */
  readonly timeoutAtMs: number;
  leaseEndsAtMs: number;
  cancelSentAtMs: number | undefined;
}

export interface TaskError {
  readonly code: string;
  readonly message: string;
}

/** The only namespace there is; ids are unique in it, and nothing that is promised exact crosses it. */
export const defaultNamespace = 'default';

/** What was submitted, with every default filled in. Never changes. */
export interface TaskSpec {
  readonly namespace: string;
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
  /** How often it was handed out. */
  attempt: number;
  /** Fences the latest attempt: (epoch, sequence), never used twice. Opaque outside `lease.ts`. */
  token: string;
  life: Life;
  /** Collectors that failed it with `elsewhere` and do not get it again. */
  excluded: readonly string[];
  lastError: TaskError | undefined;
  /** The tasks that the same collectors can serve; undefined until it is first queued. */
  class: TaskClass | undefined;
  /** Its place in the heap of pending tasks; -1 when it is in none. */
  pendingIndex: number;
}

export function newTask(
  spec: TaskSpec,
  seq: number,
  submittedAtMs: number,
  progress: Partial<Pick<Task, 'attempt' | 'token' | 'excluded' | 'lastError' | 'life'>> = {},
): Task {
  return {
    due: 'task',
    dueMs: 0,
    dueIndex: -1,
    spec,
    seq,
    submittedAtMs,
    attempt: 0,
    token: '',
    life: { state: 'pending' },
    excluded: [],
    lastError: undefined,
    class: undefined,
    pendingIndex: -1,
    ...progress,
  };
}

export function move(task: Task, life: Life): void {
  const { state: from } = task.life;
  assert(mayFollow(from, life.state), `task ${task.spec.id} cannot go from ${from} to ${life.state}`);
  task.life = life;
}
