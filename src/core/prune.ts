/** Dropping what is kept for convenience only, when there is more of it than its limit. Called after every step. */
import type { Now } from '../time/now.ts';
import { evictEnded } from './ended.ts';
import type { CoreState } from './state.ts';
import { dropClass } from './task-class.ts';

export function prune({ operations, classes, ended, limits }: CoreState, now: Now): void {
  if (ended.states.size > limits.endedIdsMax) evictEnded(ended, limits, now.wallMs);
  if (classes.empty.size > limits.classesMax)
    for (const cls of classes.empty) {
      if (classes.empty.size <= limits.classesMax) break;
      dropClass(classes, cls);
    }
  if (operations.byName.size <= limits.operationsMax) return;
  for (const operation of operations.idle) {
    if (operations.byName.size <= limits.operationsMax) break;
    // An idle operation has no pending task, so its classes are empty.
    for (const cls of operation.classes) dropClass(classes, cls);
    operations.idle.delete(operation);
    operations.byName.delete(operation.name);
  }
}
