/** Leases: their tokens, who holds one, how long it lasts. */
import type { CoreState } from './state.ts';
import type { Attempting, Task } from './task.ts';

/** Where tokens come from: the epoch of the start, and a sequence in it. No token is ever handed out twice. */
export interface Tokens {
  readonly epoch: number;
  /** Drawn at the start: two starts from the same restored copy have the same epoch. */
  readonly nonce: string;
  sequence: number;
}

export const newTokens = (epoch: number, nonce: string): Tokens => ({ epoch, nonce, sequence: 0 });

/** Opaque outside this module. */
export const nextToken = (tokens: Tokens): string =>
  `${tokens.epoch.toString(36)}${tokens.nonce}.${(++tokens.sequence).toString(36)}`;

export type TaskInProgress = Task & { life: Attempting };

export const isInProgress = (task: Task): task is TaskInProgress => task.life.state === 'in_progress';

/** The task, if this session holds this very lease on it. */
export function heldBy(state: CoreState, session: number, taskId: string, token: string): TaskInProgress | undefined {
  const task = state.tasks.get(taskId);
  return task !== undefined && isInProgress(task) && task.token === token && task.life.collector?.session === session
    ? task
    : undefined;
}

export function renew(state: CoreState, task: TaskInProgress, monotonicMs: number): void {
  task.life.leaseEndsAtMs = monotonicMs + state.limits.leaseMs;
  armAttempt(state, task);
}

/** Sets the attempt's deadline to the first thing that can happen to it. */
export function armAttempt(state: CoreState, task: TaskInProgress): void {
  const { cancelSentAtMs, leaseEndsAtMs, timeoutAtMs } = task.life;
  const patienceEndsAtMs = cancelSentAtMs === undefined ? timeoutAtMs : cancelSentAtMs + state.limits.cancelGraceMs;
  state.deadlines.set(task, Math.min(leaseEndsAtMs, patienceEndsAtMs));
}
