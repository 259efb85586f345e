/** A task whose payload the store cannot give any more. */
import type { Now } from '../time/now.ts';
import { cancelAttempt, deadLetter, endAttempt } from './attempt.ts';
import { bodyDamagedError } from './body.ts';
import type { Input, Output } from './input.ts';
import { isInProgress } from './lease.ts';
import { countTask } from './operation.ts';
import type { CoreState } from './state.ts';
import { dequeue } from './task-class.ts';

/**
 * What is not whole is never handed out: the task is a dead letter. An attempt goes on when its collector has got the
 * payload while it was whole.
 */
export function bodyDamaged(
  state: CoreState,
  input: Extract<Input, { kind: 'body_damaged' }>,
  now: Now,
  out: Output[],
): void {
  const task = state.tasks.get(input.id);
  if (task === undefined || (isInProgress(task) && !input.isUndelivered)) return;
  const error = bodyDamagedError;
  if (isInProgress(task)) {
    if (task.life.collector !== undefined) cancelAttempt(task.life.collector, task, error.message, out);
    endAttempt(state, task, 'gave_up', error, now, out);
  } else {
    countTask(state.operations, task, -1);
    if (task.life.state === 'pending') dequeue(state.classes, task);
  }
  deadLetter(state, task, { error }, now, out);
}
