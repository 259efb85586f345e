/** What is submitted, from the params of a request to specs; of a batch each task is parsed, or refused, by itself. */
import { z } from 'zod';
import type { TaskSpec } from '../core/task.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import { elementBytes, fieldBytes } from '../protocol/msgpack.ts';
import { taskSubmitSchema } from '../protocol/schema.ts';
import { specOf } from './task-view.ts';

const parseTask = z.compile(taskSubmitSchema);

/** `raw` is the encoded map that `tasks` is a field of; payloads are cut out of it as bytes. */
export function specsOf(tasks: readonly unknown[], raw: Buffer, limits: Limits, wallMs: number): (TaskSpec | Fault)[] {
  const bodies = elementBytes(fieldBytes(raw, 0, 'tasks')!);
  return tasks.map((task, at) => {
    const parsed = parseTask.safeParse(task);
    if (!parsed.success) return paramsFault('task', parsed.error);
    return specOf(parsed.data, fieldBytes(bodies[at]!, 0, 'payload'), limits, wallMs);
  });
}

/** The first problems of params that do not fit, each with the place and the rule. */
export function paramsFault(what: string, error: z.ZodError): Fault {
  const problems = error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.map(String).join('.') || 'params'}: ${message}`);
  return fault('invalid_params', `${what}: ${problems.join('; ')}`, { problems });
}
