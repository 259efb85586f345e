/** From the state to the lines of a screen of given size: pure text with styles, so that a test can read a frame. */
import type { CollectorView, QueueView } from '../protocol/shape.ts';
import { keyMap, type PaneName, type TopState } from './model.ts';
import { ago, bytes, duration, plain } from './text.ts';

export interface Span {
  readonly text: string;
  readonly color?: 'green' | 'red' | 'yellow' | 'cyan' | 'gray' | 'magenta';
  readonly bold?: boolean;
  readonly dim?: boolean;
  readonly inverse?: boolean;
}
export type Line = readonly Span[];

export const smallest = { columns: 40, rows: 10 };

interface Column<Row> {
  readonly title: string;
  readonly width: number;
  /** The columns of the lowest priority go first when there is no room. */
  readonly priority: number;
  readonly right?: boolean;
  readonly cell: (row: Row) => Span;
}

const text = (value: string | number): Span => ({ text: String(value) });
const perSecond = (rate: number): string => (rate === 0 ? '-' : rate < 10 ? rate.toFixed(1) : String(Math.round(rate)));

export function layout(state: TopState, columns: number, rows: number, nowMs: number): Line[] {
  if (columns < smallest.columns || rows < smallest.rows)
    return [
      [text(`deye top needs ${smallest.columns}×${smallest.rows};`)],
      [text(`this terminal is ${columns}×${rows}.`)],
    ];
  if (state.help) return helpLines();
  if (state.latest === undefined)
    return [
      [{ text: ' deye top ', bold: true, inverse: true }],
      [text('')],
      [text(state.why === '' ? 'Waiting for the broker …' : plain(state.why))],
    ];
  const header = headerLines(state, columns, nowMs);
  const footer: Line = [{ text: cut(' q quit   p pause   tab pane   j k scroll   ? help', columns), dim: true }];
  const room = Math.max(3, rows - header.length - 1);
  const heights = share(room, [
    state.latest.queues.length,
    state.latest.collectors.length,
    Object.keys(state.latest.routing.by_collector).length + 1,
  ]);
  const lines = [
    ...header,
    ...pane(
      state,
      'queues',
      columns,
      heights[0]!,
      state.latest.queues,
      queueColumns(state, nowMs),
      'no task has been submitted yet: deye task submit enumerate_processes',
    ),
    ...pane(
      state,
      'collectors',
      columns,
      heights[1]!,
      state.latest.collectors,
      collectorColumns(state, nowMs),
      'none: deye collectors run procmond',
    ),
    ...pane(state, 'routing', columns, heights[2]!, routingRows(state), routingColumns(), ''),
  ];
  const stale = state.connection !== 'connected';
  const full = [
    ...lines.slice(0, rows - 1),
    ...Array.from({ length: Math.max(0, rows - 1 - lines.length) }, (): Line => [text('')]),
    footer,
  ];
  return stale
    ? full.map((line, at) => (at < 2 ? line : line.map(({ text: kept }): Span => ({ text: kept, color: 'gray' }))))
    : full;
}

function headerLines(state: TopState, columns: number, nowMs: number): Line[] {
  const { broker, totals, relay } = state.latest!;
  const waiting = state.latest!.queues.reduce((sum, { pending, retrying }) => sum + pending + retrying, 0);
  const running = state.latest!.queues.reduce((sum, { in_progress }) => sum + in_progress, 0);
  const connection: Span =
    state.connection === 'connected'
      ? state.paused
        ? { text: ' PAUSED ', color: 'yellow', bold: true }
        : { text: ' live ', color: 'green' }
      : { text: ` broker gone, ${duration(nowMs - state.receivedMs)} old, reconnecting `, color: 'red', bold: true };
  return [
    [
      { text: ' deye top ', bold: true, inverse: true },
      text(` ${broker.version}  pid ${broker.pid}  up ${duration(broker.now_ms - broker.started_ms)} `),
      connection,
    ],
    [
      {
        text: cut(
          `${plain(broker.socket)}  ${broker.sessions} sessions  ${bytes(broker.rss_bytes)}  commit ${broker.commit_ms.toFixed(1)} ms`,
          columns,
        ),
        dim: true,
      },
    ],
    [
      text('submit '),
      { text: `${perSecond(state.rates.submitted)}/s`, bold: true },
      text('  done '),
      { text: `${perSecond(state.rates.completed)}/s`, bold: true, color: 'green' },
      text(` ${sparkline(state.history, Math.max(0, Math.min(30, columns - 60)))}  waiting `),
      { text: String(waiting), bold: true },
      text(`  running ${running}  dead ${totals.dead_lettered}`),
    ],
    [
      {
        text: cut(
          `messages ${perSecond(state.rates.published)}/s  delivered ${relay.delivered}  dropped ${relay.dropped}  calls ${relay.calls}  subscriptions ${relay.subscriptions}`,
          columns,
        ),
        dim: true,
      },
    ],
  ];
}

function queueColumns(state: TopState, nowMs: number): Column<QueueView>[] {
  const number = (
    title: string,
    width: number,
    priority: number,
    of: (row: QueueView) => number,
    color?: Span['color'],
  ): Column<QueueView> => ({
    title,
    width,
    priority,
    right: true,
    cell: (row) => ({ text: String(of(row)), ...(color !== undefined && of(row) > 0 ? { color } : {}) }),
  });
  const age = nowMs - state.receivedMs;
  return [
    {
      title: 'OPERATION',
      width: 24,
      priority: 9,
      cell: ({ operation, warning }) => ({
        text: plain(operation, 24),
        ...(warning === undefined ? {} : { color: 'red' as const }),
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
      cell: ({ oldest_ms }) => text(oldest_ms === undefined ? '-' : ago(oldest_ms, state.latest!.broker.now_ms + age)),
    },
    { title: 'NOTE', width: 20, priority: 1, cell: ({ warning }) => ({ text: warning ?? '', color: 'red' }) },
  ];
}

function collectorColumns(state: TopState, nowMs: number): Column<CollectorView>[] {
  const age = nowMs - state.receivedMs;
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
      cell: ({ tasks, max_concurrent_tasks }) => ({ text: bar(tasks, max_concurrent_tasks, 10), color: 'cyan' }),
    },
    {
      title: 'TASKS',
      width: 7,
      priority: 7,
      right: true,
      cell: ({ tasks, max_concurrent_tasks }) => text(`${tasks}/${max_concurrent_tasks}`),
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
      title: 'HEARD',
      width: 7,
      priority: 5,
      right: true,
      cell: ({ last_heartbeat_ms }) => text(ago(last_heartbeat_ms, state.latest!.broker.now_ms + age)),
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

function routingRows(state: TopState): RoutingRow[] {
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

function routingColumns(): Column<RoutingRow>[] {
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

function pane<Row>(
  state: TopState,
  name: PaneName,
  width: number,
  height: number,
  rows: readonly Row[],
  all: readonly Column<Row>[],
  empty: string,
): Line[] {
  const focused = state.focus === name;
  const offset = Math.min(state.offset[name], Math.max(0, rows.length - (height - 2)));
  const extra = name === 'routing' ? `  strategy ${state.latest!.routing.strategy}` : `  ${rows.length}`;
  const title: Line = [
    { text: ` ${name} `, bold: true, inverse: focused },
    { text: extra, dim: true },
  ];
  if (rows.length === 0) return [title, [{ text: cut(`  ${empty}`, width), dim: true }]];
  const columns = fit(all, width);
  const head: Line = columns.flatMap((column) => [
    { text: place(column.title, column.width, column.right), color: 'gray' as const },
    text(' '),
  ]);
  const body = rows.slice(offset, offset + Math.max(1, height - 2)).map(
    (row): Line =>
      columns.flatMap((column) => {
        const { text: value, ...style } = column.cell(row);
        return [{ text: place(value, column.width, column.right), ...style }, text(' ')];
      }),
  );
  return [title, head, ...body];
}

/** The columns that fit, by priority, in their order. */
function fit<Row>(columns: readonly Column<Row>[], width: number): Column<Row>[] {
  let left = width;
  const kept = new Set<Column<Row>>();
  for (const column of columns.toSorted((a, b) => b.priority - a.priority)) {
    if (column.width + 1 > left) continue;
    kept.add(column);
    left -= column.width + 1;
  }
  return columns.filter((column) => kept.has(column));
}

/** Shares the room between panes: each gets what it needs, or its part of what there is. Two lines of each are its head. */
function share(room: number, needs: readonly number[]): number[] {
  const wanted = needs.map((need) => Math.max(3, need + 2));
  const total = wanted.reduce((sum, one) => sum + one, 0);
  return total <= room ? wanted : wanted.map((one) => Math.max(3, Math.floor((one / total) * room)));
}

const bars = ' ▁▂▃▄▅▆▇█';

/** The latest values as a line of bars; the highest of them is the full height. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const most = Math.max(...shown, 0);
  return shown.map((value) => bars[most === 0 ? 0 : Math.ceil((value / most) * 8)]).join('');
}

export const bar = (part: number, whole: number, width: number): string => {
  const full = whole === 0 ? 0 : Math.round((Math.min(part, whole) / whole) * width);
  return '█'.repeat(full) + '·'.repeat(width - full);
};

const cut = (value: string, width: number): string =>
  value.length <= width ? value : `${value.slice(0, Math.max(0, width - 1))}…`;
const place = (value: string, width: number, right = false): string =>
  right ? cut(value, width).padStart(width) : cut(value, width).padEnd(width);

function helpLines(): Line[] {
  return [
    [{ text: ' deye top ', bold: true, inverse: true }, text('  keys')],
    [text('')],
    ...keyMap.map(({ keys, help }): Line => [{ text: `  ${keys.join(' ').padEnd(14)}`, bold: true }, text(help)]),
    [text('')],
    [{ text: '  ? closes this', dim: true }],
  ];
}

/** One line per snapshot, where there is no terminal to draw on. */
export function rollingLine(state: TopState): string {
  if (state.latest === undefined || state.connection !== 'connected')
    return `${new Date().toISOString()} broker ${state.connection}${state.why === '' ? '' : `: ${plain(state.why)}`}`;
  const { queues, collectors, totals, broker } = state.latest;
  const sum = (of: (queue: QueueView) => number) => queues.reduce((total, queue) => total + of(queue), 0);
  const healthy = collectors.filter(({ status }) => status === 'healthy').length;
  return `${new Date(broker.now_ms).toISOString()} submit ${perSecond(state.rates.submitted)}/s done ${perSecond(state.rates.completed)}/s waiting ${sum(({ pending, retrying }) => pending + retrying)} running ${sum(({ in_progress }) => in_progress)} dead ${totals.dead_lettered} collectors ${healthy}/${collectors.length} messages ${perSecond(state.rates.published)}/s`;
}
