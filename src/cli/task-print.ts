/** Tasks as people read them. */
import type { Submitted, TaskDetail, TaskSummary } from '../protocol/schema.ts';
import { ago, bytes, inline, paint, plain, statusStyle } from '../tui/text.ts';
import { genericTable, pairs, table } from './table.ts';

export function submittedText({ id, state, collector_id, position, duplicate, warning }: Submitted): string {
  const where =
    collector_id !== undefined
      ? `handed to ${collector_id}`
      : position === undefined
        ? state
        : position === 0
          ? 'waits, next in its queue'
          : `waits behind ${position} others`;
  const lines = [`${id}  ${duplicate ? `was there already (${state})` : where}`];
  if (warning !== undefined) lines.push(paint('yellow', `${warning.code}: ${plain(warning.message, 1000)}`));
  return lines.join('\n');
}

export function tasksTable(tasks: readonly TaskSummary[]): string {
  if (tasks.length === 0) return 'No tasks.';
  return table(tasks, [
    { title: 'ID', value: ({ id }) => id },
    { title: 'OPERATION', value: ({ operation }) => plain(operation, 30) },
    { title: 'STATE', value: ({ state }) => paint(statusStyle(state), state) },
    { title: 'PRIO', value: ({ priority }) => String(priority), right: true },
    { title: 'TRY', value: ({ attempt, max_retries }) => `${attempt}/${max_retries + 1}`, right: true },
    { title: 'AGE', value: ({ submitted_at_ms }) => ago(submitted_at_ms), right: true },
    { title: 'COLLECTOR', value: ({ collector_id }) => plain(collector_id ?? '-', 30) },
    { title: 'ERROR', value: ({ error }) => (error === undefined ? '' : plain(`${error.code}: ${error.message}`)) },
  ]);
}

export function taskText(task: TaskDetail): string {
  const head = pairs([
    ['id', task.id],
    ['operation', plain(task.operation)],
    ['state', paint(statusStyle(task.state), task.state)],
    ['priority', String(task.priority)],
    ['submitted', `${new Date(task.submitted_at_ms).toISOString()} (${ago(task.submitted_at_ms)} ago)`],
    ['attempts', `${task.attempt} of ${task.max_retries + 1}`],
    ['collector', task.collector_id],
    ['error', task.error && plain(`${task.error.code}: ${task.error.message}`, 2000)],
    ['correlation', task.correlation && plain(task.correlation.correlation_id)],
    ['payload', inline(task.payload, 500)],
  ]);
  const attempts =
    task.attempts.length === 0
      ? ''
      : `\n\n${table(task.attempts, [
          { title: 'TRY', value: ({ attempt }) => String(attempt), right: true },
          { title: 'COLLECTOR', value: ({ collector_id }) => plain(collector_id, 30) },
          { title: 'OUTCOME', value: ({ outcome }) => outcome },
          { title: 'TOOK', value: ({ started_at_ms, ended_at_ms }) => ago(started_at_ms, ended_at_ms), right: true },
          {
            title: 'ERROR',
            value: ({ error }) => (error === undefined ? '' : plain(`${error.code}: ${error.message}`)),
          },
        ])}`;
  return `${head}${attempts}${task.state === 'completed' ? `\n\n${resultText(task.result)}` : ''}`;
}

/** A result: rows as a table when it holds a list of objects, else as JSON. */
export function resultText(result: unknown): string {
  const rows = rowsOf(result);
  if (rows === undefined) return plain(JSON.stringify(result, null, 2), 100_000).replaceAll('\\x0a', '\n');
  const rest = Array.isArray(result) ? [] : Object.entries(result as object).filter(([, value]) => value !== rows);
  const foot =
    rest.length === 0 ? '' : `\n${paint('gray', rest.map(([key, value]) => `${key} ${inline(value)}`).join('  '))}`;
  return genericTable(rows, cell) + foot;
}

function rowsOf(result: unknown): Record<string, unknown>[] | undefined {
  const lists = Array.isArray(result)
    ? [result]
    : typeof result === 'object' && result !== null
      ? Object.values(result).filter(Array.isArray)
      : [];
  const list = lists.find(
    (one) => one.length > 0 && one.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row)),
  );
  return list as Record<string, unknown>[] | undefined;
}

/** Units end a name, so a name says how its value is read. */
function cell(key: string, value: unknown): string {
  if (typeof value === 'number' && key.endsWith('_bytes')) return bytes(value);
  if (typeof value === 'number' && key.endsWith('_time_ms')) return `${ago(value)} ago`;
  return inline(value, 120);
}
