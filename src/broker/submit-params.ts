/** What is submitted, from the params of a request to specs; of a batch each task is parsed, or refused, by itself. */
import { z } from 'zod';
import type { TaskSpec } from '../core/task.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Bodies } from '../protocol/params.ts';
import { taskSubmitSchema } from '../protocol/schema.ts';
import { specOf } from './task-view.ts';

const parseTask = z.compile(taskSubmitSchema);

/** `payloads` are those of the tasks, encoded. */
export function specsOf(
  tasks: readonly unknown[],
  payloads: Bodies,
  limits: Limits,
  idMs: number,
): (TaskSpec | Fault)[] {
  return tasks.map((task, at) => {
    const parsed = parseTask.safeParse(task);
    if (!parsed.success) return paramsFault('task', parsed.error);
    return specOf(parsed.data, payloads[at], limits, idMs);
  });
}

/** The first problems of params that do not fit, each with the place and the rule. */
export function paramsFault(what: string, error: z.ZodError): Fault {
  const problems = error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.map(String).join('.') || 'params'}: ${message}`);
  return fault('invalid_params', `${what}: ${problems.join('; ')}`, { problems });
}
