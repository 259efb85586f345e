/** What each pane shows of a row, column by column, and how important each column is. */
import type { CollectorView } from '../protocol/collector-schema.ts';
import type { QueueView } from '../protocol/view-schema.ts';
import { plain } from '../text/plain.ts';
import { ago, bytes } from '../text/quantity.ts';
import type { TopState } from './model.ts';

export interface Span {
  readonly text: string;
  readonly color?: 'green' | 'red' | 'yellow' | 'cyan' | 'gray' | 'magenta';
  readonly bold?: boolean;
  readonly dim?: boolean;
  readonly inverse?: boolean;
}
export interface PaneColumn<Row> {
  readonly title: string;
  readonly width: number;
  /** The columns of the lowest priority go first when there is no room. */
  readonly priority: number;
  readonly right?: boolean;
  readonly cell: (row: Row) => Span;
}

export const text = (value: string | number): Span => ({ text: String(value) });
export const perSecond = (rate: number): string =>
  rate === 0 ? '-' : rate < 10 ? rate.toFixed(1) : String(Math.round(rate));

export function queueColumns(state: TopState, nowMs: number): PaneColumn<QueueView>[] {
  const number = (
    title: string,
    width: number,
    priority: number,
    of: (row: QueueView) => number,
    color?: Span['color'],
  ): PaneColumn<QueueView> => ({
    title,
    width,
    priority,
    right: true,
    cell: (row) => ({ text: String(of(row)), ...(color !== undefined && of(row) > 0 ? { color } : {}) }),
  });
  const age = nowMs - state.receivedAtMs;
  return [
    {
      title: 'OPERATION',
      width: 24,
      priority: 9,
      cell: ({ operation, unservable }) => ({
        text: plain(operation, 24),
        ...(unservable ? { color: 'red' as const } : {}),
      }),
    },
    number('WAIT', 7, 8, ({ pending }) => pending),
    number('HIGH', 6, 4, ({ high }) => high, 'magenta'),
    number('NORM', 6, 3, ({ normal }) => normal),
    number('LOW', 6, 2, ({ low }) => low),
    number('RUN', 6, 7, ({ in_progress }) => in_progress, 'cyan'),
    number('RETRY', 6, 5, ({ retrying }) => retrying, 'yellow'),
    {
      title: 'DONE/S',
      width: 7,
      priority: 6,
      right: true,
      cell: ({ operation }) => text(perSecond(state.rates.byOperation[operation] ?? 0)),
    },
    number('FAILED', 7, 4, ({ failed }) => failed, 'yellow'),
    number('DEAD', 6, 5, ({ dead_letter }) => dead_letter, 'red'),
    {
      title: 'OLDEST',
      width: 7,
      priority: 3,
      right: true,
      cell: ({ oldest_at_ms }) =>
        text(oldest_at_ms === undefined ? '-' : ago(oldest_at_ms, state.latest!.broker.at_ms + age)),
    },
    {
      title: 'NOTE',
      width: 20,
      priority: 1,
      cell: ({ unservable }) => ({ text: unservable ? 'no_capable_collector' : '', color: 'red' }),
    },
  ];
}

export function collectorColumns(state: TopState, nowMs: number): PaneColumn<CollectorView>[] {
  const age = nowMs - state.receivedAtMs;
  const colors: Readonly<Record<string, Span['color']>> = {
    healthy: 'green',
    degraded: 'yellow',
    starting: 'cyan',
    draining: 'yellow',
    failing: 'red',
    quarantined: 'red',
  };
  return [
    { title: 'COLLECTOR', width: 20, priority: 9, cell: ({ collector_id }) => text(plain(collector_id, 20)) },
    { title: 'TYPE', width: 12, priority: 3, cell: ({ collector_type }) => text(plain(collector_type, 12)) },
    {
      title: 'STATUS',
      width: 11,
      priority: 8,
      cell: ({ status }) => ({ text: status, color: colors[status] ?? 'gray' }),
    },
    {
      title: 'LOAD',
      width: 10,
      priority: 5,
      cell: ({ tasks_in_progress, max_concurrent_tasks }) => ({
        text: bar(tasks_in_progress, max_concurrent_tasks, 10),
        color: 'cyan',
      }),
    },
    {
      title: 'TASKS',
      width: 7,
      priority: 7,
      right: true,
      cell: ({ tasks_in_progress, max_concurrent_tasks }) => text(`${tasks_in_progress}/${max_concurrent_tasks}`),
    },
    {
      title: 'DONE/S',
      width: 7,
      priority: 6,
      right: true,
      cell: ({ collector_id }) => text(perSecond(state.rates.byCollector[collector_id] ?? 0)),
    },
    {
      title: 'FAILED',
      width: 7,
      priority: 4,
      right: true,
      cell: ({ failed }) => ({ text: String(failed), ...(failed > 0 ? { color: 'yellow' as const } : {}) }),
    },
    {
      title: 'CPU',
      width: 6,
      priority: 4,
      right: true,
      cell: ({ cpu_percent }) => text(cpu_percent === undefined ? '-' : `${Math.round(cpu_percent)}%`),
    },
    {
      title: 'MEMORY',
      width: 8,
      priority: 4,
      right: true,
      cell: ({ rss_bytes }) => text(rss_bytes === undefined ? '-' : bytes(rss_bytes)),
    },
    {
      title: 'LAST SEEN',
      width: 9,
      priority: 5,
      right: true,
      cell: ({ last_heartbeat_at_ms }) => text(ago(last_heartbeat_at_ms, state.latest!.broker.at_ms + age)),
    },
    { title: 'REASON', width: 30, priority: 1, cell: ({ status_reason }) => text(plain(status_reason, 30)) },
  ];
}

interface RoutingRow {
  readonly id: string;
  readonly given: number;
  readonly share: number;
  readonly confidence: number | undefined;
}

export function routingRows(state: TopState): RoutingRow[] {
  const { by_collector } = state.latest!.routing;
  const total = Object.values(by_collector).reduce((sum, count) => sum + count, 0);
  const confidence = new Map(state.latest!.collectors.map((one) => [one.collector_id, one.confidence]));
  return Object.entries(by_collector).map(([id, given]) => ({
    id,
    given,
    share: total === 0 ? 0 : given / total,
    confidence: confidence.get(id),
  }));
}

export function routingColumns(): PaneColumn<RoutingRow>[] {
  return [
    { title: 'TO COLLECTOR', width: 20, priority: 9, cell: ({ id }) => text(plain(id, 20)) },
    { title: 'DECISIONS', width: 10, priority: 8, right: true, cell: ({ given }) => text(given) },
    {
      title: 'SHARE',
      width: 7,
      priority: 7,
      right: true,
      cell: ({ share: part }) => text(`${Math.round(part * 100)}%`),
    },
    { title: '', width: 20, priority: 2, cell: ({ share: part }) => ({ text: bar(part, 1, 20), color: 'cyan' }) },
    {
      title: 'CONFIDENCE',
      width: 10,
      priority: 4,
      right: true,
      cell: ({ confidence }) => text(confidence === undefined ? 'gone' : confidence.toFixed(2)),
    },
  ];
}

const bars = ' ▁▂▃▄▅▆▇█';

/** The latest values as a line of bars; the highest of them is the full height. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const most = Math.max(...shown, 0);
  return shown.map((value) => bars[most === 0 ? 0 : Math.ceil((value / most) * 8)]).join('');
}

const bar = (part: number, whole: number, width: number): string => {
  const full = whole === 0 ? 0 : Math.round((Math.min(part, whole) / whole) * width);
  return '█'.repeat(full) + '·'.repeat(width - full);
};
