/** Tasks as people read them. */
import type { Submitted, Sync, TaskDetail, TaskSummary } from '../protocol/schema.ts';
import type { BodyName } from '../protocol/state.ts';
import { paint, statusStyle } from '../text/paint.ts';
import { inline, plain } from '../text/plain.ts';
import { ago, bytes, counted } from '../text/quantity.ts';
import { hint, type Reached } from './hint.ts';
import { pairs, table } from './table.ts';
import { jsonText, valueText } from './value-print.ts';

export function submittedText({ id, state, collector_id, position, duplicate, warning }: Submitted): string {
  const where =
    collector_id !== undefined
      ? `handed to ${plain(collector_id)}`
      : position === undefined
        ? state
        : position === 0
          ? 'waits, next in its queue'
          : `waits behind ${counted(position, 'other')}`;
  const lines = [`${id}  ${duplicate ? `was there already (${state})` : where}`];
  if (warning !== undefined) lines.push(paint('yellow', `${warning.code}: ${plain(warning.message, 1000)}`));
  return lines.join('\n');
}

/** Undefined when the answer promises what people expect of it. */
export const syncNote = (sync: Sync | undefined): string | undefined =>
  sync === '100ms'
    ? 'It is not synced yet: a power failure in the next 100 ms may take it (sync is 100ms in the configuration of the broker).'
    : undefined;

export function tasksTable(tasks: readonly TaskSummary[]): string {
  if (tasks.length === 0) return 'No tasks.';
  return table(tasks, [
    { title: 'ID', value: ({ id }) => id },
    { title: 'OPERATION', value: ({ operation }) => plain(operation, 30), least: 9 },
    { title: 'STATE', value: ({ state }) => paint(statusStyle(state), state) },
    { title: 'PRIO', value: ({ priority }) => String(priority), right: true, drop: 4 },
    { title: 'TRY', value: ({ attempt, max_retries }) => `${attempt}/${max_retries + 1}`, right: true, drop: 3 },
    { title: 'AGE', value: ({ submitted_at_ms }) => ago(submitted_at_ms), right: true, drop: 1 },
    { title: 'COLLECTOR', value: ({ collector_id }) => plain(collector_id ?? '-', 30), drop: 2 },
    { title: 'WHY', value: ({ waits_for, error }) => reasonText(waits_for ?? error), least: 16 },
  ]);
}

interface TaskTextOptions extends Reached {
  /** Bodies at any length, instead of an excerpt of the payload. */
  readonly full?: boolean;
}

export function taskText(task: TaskDetail, options: TaskTextOptions): string {
  const head = pairs([
    ['id', task.id],
    ['operation', plain(task.operation)],
    ['state', paint(statusStyle(task.state), task.state)],
    ['waits for', task.waits_for && paint('yellow', reasonText(task.waits_for, 2000))],
    ['priority', String(task.priority)],
    ['submitted', `${new Date(task.submitted_at_ms).toISOString()} (${ago(task.submitted_at_ms)} ago)`],
    ['attempts', `${task.attempt} of ${task.max_retries + 1}`],
    ['collector', task.collector_id && plain(task.collector_id)],
    ['error', task.error && reasonText(task.error, 2000)],
    ['correlation', task.correlation && plain(task.correlation.correlation_id)],
    [
      'payload',
      bodyText(task, 'payload', options, (payload) =>
        options.full === true ? jsonText(payload) : inline(payload, 500),
      ),
    ],
  ]);
  const attempts = table(task.attempts, [
    { title: 'TRY', value: ({ attempt }) => String(attempt), right: true },
    { title: 'COLLECTOR', value: ({ collector_id }) => plain(collector_id, 30) },
    { title: 'OUTCOME', value: ({ outcome }) => outcome },
    { title: 'TOOK', value: ({ started_at_ms, ended_at_ms }) => ago(started_at_ms, ended_at_ms), right: true },
    { title: 'ERROR', value: ({ error }) => reasonText(error) },
  ]);
  const result = bodyText(task, 'result', options, valueText);
  return [
    head,
    ...(task.attempts.length === 0 ? [] : [attempts]),
    ...(task.state !== 'completed' || result === undefined
      ? []
      : [task.result === undefined ? `result: ${result}` : result]),
  ].join('\n\n');
}

const reasonText = (reason: { readonly code: string; readonly message: string } | undefined, most = 200): string =>
  reason === undefined ? '' : plain(`${reason.code}: ${reason.message}`, most);

/** A body, or how large it is and how to get it. */
function bodyText(
  task: TaskDetail,
  name: BodyName,
  reached: Reached,
  text: (body: unknown) => string,
): string | undefined {
  const size = task[`${name}_bytes`];
  if (size === undefined) return undefined;
  if (task[name] !== undefined) return text(task[name]);
  if (task.trimmed)
    return 'gone: deleted, as a result would be, since ended tasks took more than book_bytes_max, or damaged on the disk';
  return `${bytes(size)}; see it with: ${hint(`deye task show ${task.id} --full`, reached)}`;
}
