/** Collectors as people read them. */

import type { CollectorView } from '../protocol/collector-schema.ts';
import type { Reply } from '../protocol/message.ts';
import type { Health } from '../protocol/view-schema.ts';
import { paint, statusStyle } from '../text/paint.ts';
import { inline, plain } from '../text/plain.ts';
import { ago, bytes } from '../text/quantity.ts';
import { hint, type Reached } from './hint.ts';
import { pairs, table } from './table.ts';

export function collectorsTable(collectors: readonly CollectorView[], reached: Reached): string {
  if (collectors.length === 0) return `No collectors. Start one with: ${hint('deye collectors run procmond', reached)}`;
  return table(collectors, [
    { title: 'ID', value: ({ collector_id }) => plain(collector_id), least: 12 },
    { title: 'TYPE', value: ({ collector_type }) => plain(collector_type), drop: 4 },
    { title: 'STATUS', value: ({ status }) => paint(statusStyle(status), status) },
    {
      title: 'TASKS',
      value: ({ tasks_in_progress, max_concurrent_tasks }) => `${tasks_in_progress}/${max_concurrent_tasks}`,
      right: true,
    },
    { title: 'DONE', value: ({ completed }) => String(completed), right: true, drop: 2 },
    { title: 'FAILED', value: ({ failed }) => String(failed), right: true, drop: 1 },
    { title: 'LAST SEEN', value: ({ last_heartbeat_at_ms }) => ago(last_heartbeat_at_ms), right: true },
    { title: 'PID', value: ({ pid }) => (pid === 0 ? '-' : String(pid)), right: true, drop: 3 },
    {
      title: 'OPERATIONS',
      value: ({ operations, status_reason }) => (operations.length > 0 ? operations.join(', ') : plain(status_reason)),
    },
  ]);
}

export function collectorText(collector: Reply<'collector.show'>): string {
  const head = pairs([
    ['id', plain(collector.collector_id)],
    ['type', plain(collector.collector_type)],
    [
      'status',
      `${paint(statusStyle(collector.status), collector.status)}${collector.status_reason === '' ? '' : ` (${plain(collector.status_reason)})`} for ${ago(collector.status_changed_at_ms)}`,
    ],
    ['pid', String(collector.pid)],
    ['version', plain(collector.version)],
    ['operations', collector.operations.join(', ')],
    ['capabilities', collector.capabilities.join(', ')],
    [
      'tasks',
      `${collector.tasks_in_progress} of ${collector.max_concurrent_tasks}, ${collector.completed} done, ${collector.failed} failed`,
    ],
    ['last seen', `${ago(collector.last_heartbeat_at_ms)} ago`],
    ['memory', collector.rss_bytes === undefined ? undefined : bytes(collector.rss_bytes)],
    ['cpu', collector.cpu_percent === undefined ? undefined : `${collector.cpu_percent.toFixed(1)} %`],
    ['confidence', collector.confidence.toFixed(2)],
    ['supervised', collector.supervised ? 'by this broker' : 'no'],
  ]);
  if (collector.holds.length === 0) return head;
  return `${head}\n\n${table(collector.holds, [
    { title: 'TASK', value: ({ task_id }) => task_id },
    { title: 'OPERATION', value: ({ operation }) => plain(operation) },
    { title: 'TRY', value: ({ attempt }) => String(attempt), right: true },
    { title: 'FOR', value: ({ started_at_ms }) => ago(started_at_ms), right: true },
  ])}`;
}

export function healthText(id: string, health: Health): string {
  const head = pairs([
    ['collector', plain(id)],
    ['status', paint(statusStyle(health.status), health.status)],
    ['up', `${Math.round(health.uptime_seconds)} s`],
    ['errors', String(health.error_count)],
    ...Object.entries(health.metrics).map(([name, value]): [string, string] => [plain(name), inline(value)]),
  ]);
  return `${head}\n\n${table(Object.entries(health.components), [
    { title: 'COMPONENT', value: ([name]) => plain(name) },
    { title: 'STATUS', value: ([, { status }]) => status },
    { title: 'MESSAGE', value: ([, { message }]) => plain(message) },
  ])}`;
}
