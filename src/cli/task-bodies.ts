/** A task with its bodies, when they are small or all of them are wanted. */
import type { Client } from '../client/client.ts';
import type { TaskDetail } from '../protocol/schema.ts';
import { type BodyName, bodyNames } from '../protocol/state.ts';

/** A larger body is fetched only when it is asked for. */
const smallBytes = 1024 * 1024;

/** What else than bodies a reply may hold; a body and this always fit a frame. */
const detailBytes = 1024 * 1024;

export async function showTask(client: Client, id: string, full: boolean): Promise<TaskDetail> {
  return withBodies(client, await client.request('task.show', { id }), full);
}

/** Adds the bodies that the task came without, when they are small, or all of them. */
export async function withBodies(client: Client, task: TaskDetail, full = false): Promise<TaskDetail> {
  const { id } = task;
  const missing = bodyNames.filter((name) => {
    const size = task[`${name}_bytes`];
    return !task.trimmed && task[name] === undefined && size !== undefined && (full || size <= smallBytes);
  });
  const total = missing.reduce((sum, name) => sum + (task[`${name}_bytes`] ?? 0), 0);
  const fits = total + detailBytes <= (client.welcome?.limits.frame_bytes_max ?? 0);
  let shown = task;
  for (const include of fits && missing.length > 0 ? [missing] : missing.map((name): BodyName[] => [name])) {
    // The task may have gone on meanwhile: the latest answer counts, with the bodies of those before.
    const latest = await client.request('task.show', { id, include });
    const { payload = shown.payload, result = shown.result, ...rest } = latest;
    shown = { ...rest, ...(payload === undefined ? {} : { payload }), ...(result === undefined ? {} : { result }) };
  }
  return shown;
}
