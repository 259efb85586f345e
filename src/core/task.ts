/**
 * A task and the edges of its life. A task is in exactly one state, and only `move` changes it, along an edge of
 * `stateTable`:
 *
 *     submit ─▶ pending ──assign──▶ in_progress ──▶ completed
 *                 ▲ ▲                  │  │  └────▶ dead_letter
 *                 │ └───lease lost─────┘  │            ▲
 *                 └──backoff over── retrying           │ out of retries, or given up
 *     cancelled ◀── from pending and retrying; dead_letter, too, when the payload is lost
 */
import assert from 'node:assert/strict';
import type { Params } from '../protocol/message.ts';
import { mayFollow } from '../protocol/state.ts';
import type { Due } from '../time/deadlines.ts';
import type { Body } from './body.ts';
import type { Collector } from './collector.ts';
import type { Output } from './input.ts';
import type { RecordOf } from './record.ts';
import { advance, type DurableTask } from './replay.ts';
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

/** What was submitted, with every default filled in. Never changes, but that the store may take the payload out of memory. */
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
  payload: Body;
}

/** The durable part changes by `advance` only; the rest is volatile. */
export interface Task extends Due, DurableTask {
  readonly due: 'task';
  /** The state again, with what belongs to it. */
  life: Life;
  /** The tasks that the same collectors can serve; undefined until it is first queued. */
  class: TaskClass | undefined;
  /** Its place in the heap of pending tasks; -1 when it is in none. */
  pendingIndex: number;
}

export const newTask = (durable: DurableTask, life: Life = { state: 'pending' }): Task => ({
  seq: durable.seq,
  spec: durable.spec,
  submittedAtMs: durable.submittedAtMs,
  state: durable.state,
  attempt: durable.attempt,
  token: durable.token,
  atMs: durable.atMs,
  collectorId: durable.collectorId,
  readyAtMs: durable.readyAtMs,
  delayMs: durable.delayMs,
  error: durable.error,
  excluded: durable.excluded,
  due: 'task',
  dueMs: 0,
  dueIndex: -1,
  life,
  class: undefined,
  pendingIndex: -1,
});

export function move(task: Task, life: Life, moved: RecordOf<'moved'>, out: Output[]): void {
  const { state: from } = task.life;
  assert(mayFollow(from, life.state), `task ${task.spec.id} cannot go from ${from} to ${life.state}`);
  task.life = life;
  advance(task, moved);
  out.push({ kind: 'record', record: moved });
}
