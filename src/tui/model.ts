/** What `deye top` knows and how it changes. Pure: events in, state out; nothing here draws, and time is an argument. */
import type { Snapshot } from '../protocol/view-schema.ts';

export type PaneName = 'queues' | 'collectors' | 'routing';
const paneNames: readonly PaneName[] = ['queues', 'collectors', 'routing'];

export interface TopState {
  readonly latest: Snapshot | undefined;
  /** When `latest` came, in monotonic ms of this process. */
  readonly receivedAtMs: number;
  readonly rates: Rates;
  /** Completions per second of the last minute, the newest last. */
  readonly history: readonly number[];
  readonly connection: 'connected' | 'reconnecting' | 'closed';
  readonly why: string;
  readonly paused: boolean;
  readonly help: boolean;
  readonly focus: PaneName;
  readonly offset: Readonly<Record<PaneName, number>>;
  /** What a command to type next needs to reach this broker: ` --socket PATH`, or nothing. */
  readonly socketFlag: string;
}

interface Rates {
  readonly submitted: number;
  readonly completed: number;
  readonly published: number;
  /** Completions per second, by operation and by collector. */
  readonly byOperation: Readonly<Record<string, number>>;
  readonly byCollector: Readonly<Record<string, number>>;
}

export type TopEvent =
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot; readonly atMs: number }
  | { readonly kind: 'connection'; readonly state: TopState['connection']; readonly why: string }
  | { readonly kind: 'key'; readonly name: KeyName };

/** The key map; the help is made from it. */
export const keyMap = [
  { name: 'next', keys: ['tab'], help: 'next pane' },
  { name: 'down', keys: ['j', 'downArrow'], help: 'scroll down' },
  { name: 'up', keys: ['k', 'upArrow'], help: 'scroll up' },
  { name: 'first', keys: ['g'], help: 'to the top' },
  { name: 'pause', keys: ['p'], help: 'pause the screen' },
  { name: 'help', keys: ['?'], help: 'this help, and back' },
  { name: 'close', keys: ['escape'], help: 'close this help' },
  { name: 'quit', keys: ['q'], help: 'quit' },
] as const;
export type KeyName = (typeof keyMap)[number]['name'];

const noRates: Rates = { submitted: 0, completed: 0, published: 0, byOperation: {}, byCollector: {} };
const historyLength = 60;

export const initialState: TopState = {
  latest: undefined,
  receivedAtMs: 0,
  rates: noRates,
  history: [],
  connection: 'reconnecting',
  why: '',
  paused: false,
  help: false,
  focus: 'queues',
  offset: { queues: 0, collectors: 0, routing: 0 },
  socketFlag: '',
};

export function reduce(state: TopState, event: TopEvent): TopState {
  if (event.kind === 'connection') return { ...state, connection: event.state, why: event.why };
  if (event.kind === 'key') return press(state, event.name);
  if (state.paused) return state;
  const rates = ratesBetween(state.latest, event.snapshot);
  return {
    ...state,
    latest: event.snapshot,
    receivedAtMs: event.atMs,
    rates,
    connection: 'connected',
    why: '',
    history: [...state.history, rates.completed].slice(-historyLength),
  };
}

function press(state: TopState, name: KeyName): TopState {
  const scroll = (by: number): TopState => {
    const rows = {
      queues: state.latest?.queues.length ?? 0,
      collectors: state.latest?.collectors.length ?? 0,
      routing: Object.keys(state.latest?.routing.by_collector ?? {}).length,
    }[state.focus];
    const to = Math.max(0, Math.min(rows - 1, by === 0 ? 0 : state.offset[state.focus] + by));
    return { ...state, offset: { ...state.offset, [state.focus]: to } };
  };
  switch (name) {
    case 'next':
      return { ...state, focus: paneNames[(paneNames.indexOf(state.focus) + 1) % paneNames.length]! };
    case 'down':
      return scroll(1);
    case 'up':
      return scroll(-1);
    case 'first':
      return scroll(0);
    case 'pause':
      return { ...state, paused: !state.paused };
    case 'help':
      return { ...state, help: !state.help };
    case 'close':
      return { ...state, help: false };
    case 'quit':
      return state; // the window closes itself
  }
}

/** Differences per second. A broker that restarted counts from zero again, so nothing is ever negative. */
export function ratesBetween(before: Snapshot | undefined, now: Snapshot): Rates {
  if (before === undefined || before.broker.started_at_ms !== now.broker.started_at_ms) return noRates;
  const seconds = (now.broker.uptime_ms - before.broker.uptime_ms) / 1000;
  if (seconds <= 0) return noRates;
  const rate = (a: number, b: number): number => Math.max(0, b - a) / seconds;
  const queuesBefore = new Map(before.queues.map((queue) => [queue.operation, queue.completed]));
  const allBefore = before.operation_count <= before.queues.length; // else one that is new in the list is not new
  const collectorsBefore = new Map(before.collectors.map((one) => [one.collector_id, one.completed]));
  return {
    submitted: rate(before.totals.submitted, now.totals.submitted),
    completed: rate(before.totals.completed, now.totals.completed),
    published: rate(before.relay.published, now.relay.published),
    byOperation: Object.fromEntries(
      now.queues.map(({ operation, completed }) => [
        operation,
        rate(queuesBefore.get(operation) ?? (allBefore ? 0 : completed), completed),
      ]),
    ),
    byCollector: Object.fromEntries(
      now.collectors.map(({ collector_id, completed }) => [
        collector_id,
        rate(collectorsBefore.get(collector_id) ?? 0, completed),
      ]),
    ),
  };
}
