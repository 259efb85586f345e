/** From the state to the lines of a screen of given size: pure text with styles, so that a test can read a frame. */
import type { QueueView } from '../protocol/schema.ts';
import {
  type Column,
  collectorColumns,
  perSecond,
  queueColumns,
  routingColumns,
  routingRows,
  type Span,
  sparkline,
  text,
} from './columns.ts';
import { keyMap, type PaneName, type TopState } from './model.ts';
import { bytes, duration, plain } from './text.ts';

export type Line = readonly Span[];

export const smallest = { columns: 40, rows: 10 };

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
      : { text: ` broker gone, ${duration(nowMs - state.receivedAtMs)} old, reconnecting `, color: 'red', bold: true };
  return [
    [
      { text: ' deye top ', bold: true, inverse: true },
      text(` ${broker.version}  pid ${broker.pid}  up ${duration(broker.at_ms - broker.started_at_ms)} `),
      connection,
    ],
    [
      {
        text: cut(
          `${plain(broker.socket)}  ${broker.sessions} sessions  ${bytes(broker.rss_bytes)}  commit ${broker.commit_us.toFixed(1)} ms`,
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
  return `${new Date(broker.at_ms).toISOString()} submit ${perSecond(state.rates.submitted)}/s done ${perSecond(state.rates.completed)}/s waiting ${sum(({ pending, retrying }) => pending + retrying)} running ${sum(({ in_progress }) => in_progress)} dead ${totals.dead_lettered} collectors ${healthy}/${collectors.length} messages ${perSecond(state.rates.published)}/s`;
}
