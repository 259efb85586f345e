/** Tasks in memory, as a list shows them. */
import type { StoredTask } from '../core/record.ts';
import type { TaskFilter } from './port.ts';

const noPayload = new Uint8Array(0);

/** Copies of those that fit, newest first, without payloads. */
export const listed = (tasks: Iterable<StoredTask>, filter: TaskFilter): StoredTask[] =>
  [...tasks]
    .filter((task) => fits(task, filter))
    .sort((a, b) => b.seq - a.seq)
    .slice(0, filter.limit)
    .map(shownInList);

/** A copy, without the payload. */
export const shownInList = (task: StoredTask): StoredTask => ({ ...task, spec: { ...task.spec, payload: noPayload } });

export const fits = (task: StoredTask, { states, operation, collectorId, beforeSeq }: TaskFilter): boolean =>
  (states.length === 0 || states.includes(task.state)) &&
  (operation === undefined || task.spec.operation === operation) &&
  (collectorId === undefined || task.collectorId === collectorId) &&
  (beforeSeq === undefined || task.seq < beforeSeq);
