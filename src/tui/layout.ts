/** From the state to the lines of a screen of given size: pure text with styles, so that a test can read a frame. */
import type { Snapshot } from '../protocol/view-schema.ts';
import { plain } from '../text/plain.ts';
import { bytes, counted, duration } from '../text/quantity.ts';
import { cut, place } from '../text/width.ts';
import {
  collectorColumns,
  type PaneColumn,
  perSecond,
  queueColumns,
  routingColumns,
  routingRows,
  type Span,
  sparkline,
  text,
} from './columns.ts';
import { keyMap, type PaneName, type TopState } from './model.ts';

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
      `no task has been submitted yet: deye task submit enumerate_processes${state.socketFlag}`,
    ),
    ...pane(
      state,
      'collectors',
      columns,
      heights[1]!,
      state.latest.collectors,
      collectorColumns(state, nowMs),
      `none: deye collectors run procmond${state.socketFlag}`,
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
    ? full.map((line, at) => (at < 2 ? line : line.map(({ text }): Span => ({ text, color: 'gray' }))))
    : full;
}

function headerLines(state: TopState, columns: number, nowMs: number): Line[] {
  const { broker, totals, relay, waiting, in_progress } = state.latest!;
  const connection: Span =
    state.connection === 'connected'
      ? state.paused
        ? { text: ' PAUSED ', color: 'yellow', bold: true }
        : { text: ' live ', color: 'green' }
      : { text: ` broker gone, ${duration(nowMs - state.receivedAtMs)} old, reconnecting `, color: 'red', bold: true };
  return [
    [
      { text: ' deye top ', bold: true, inverse: true },
      text(` ${broker.version}  pid ${broker.pid}  up ${duration(broker.uptime_ms)} `),
      connection,
    ],
    [
      {
        text: cut(
          `${plain(broker.socket)}  ${counted(broker.sessions, 'session')}  ${bytes(broker.rss_bytes)}  commit ${(broker.commit_us / 1000).toFixed(1)} ms`,
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
      text(`  running ${in_progress}  dead ${totals.dead_lettered}`),
    ],
    [
      {
        text: cut(
          `messages ${perSecond(state.rates.published)}/s  delivered ${relay.delivered}  dropped ${relay.dropped}  stalls ${relay.stalls}  calls ${relay.calls}  subscriptions ${relay.subscriptions}`,
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
  all: readonly PaneColumn<Row>[],
  empty: string,
): Line[] {
  const focused = state.focus === name;
  const offset = Math.min(state.offset[name], Math.max(0, rows.length - (height - 2)));
  const extra = paneNote(state.latest!, name, rows.length);
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

function paneNote({ routing, operation_count: operations }: Snapshot, name: PaneName, rows: number): string {
  if (name === 'routing') return `  strategy ${routing.strategy}`;
  return name === 'queues' && operations > rows ? `  the busiest ${rows} of ${operations}` : `  ${rows}`;
}

/** The columns that fit, by priority, in their order. */
function fit<Row>(columns: readonly PaneColumn<Row>[], width: number): PaneColumn<Row>[] {
  let left = width;
  const shown = new Set<PaneColumn<Row>>();
  for (const column of columns.toSorted((a, b) => b.priority - a.priority)) {
    if (column.width + 1 > left) continue;
    shown.add(column);
    left -= column.width + 1;
  }
  return columns.filter((column) => shown.has(column));
}

/** Shares the room between panes: each gets what it needs, or its part of what there is. Two lines of each are its head. */
function share(room: number, needs: readonly number[]): number[] {
  const wanted = needs.map((need) => Math.max(3, need + 2));
  const total = wanted.reduce((sum, one) => sum + one, 0);
  return total <= room ? wanted : wanted.map((one) => Math.max(3, Math.floor((one / total) * room)));
}

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
  const { collectors, totals, broker, waiting, in_progress } = state.latest;
  const healthy = collectors.filter(({ status }) => status === 'healthy').length;
  return `${new Date(broker.at_ms).toISOString()} submit ${perSecond(state.rates.submitted)}/s done ${perSecond(state.rates.completed)}/s waiting ${waiting} running ${in_progress} dead ${totals.dead_lettered} collectors ${healthy}/${collectors.length} messages ${perSecond(state.rates.published)}/s`;
}
