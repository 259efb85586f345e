import { render } from 'ink-testing-library';
import { describe, expect, test, vi } from 'vitest';
import type { Snapshot } from '../../src/index.ts';
import { columnsOf } from '../../src/text/width.ts';
import { sparkline } from '../../src/tui/columns.ts';
import { TopFeed } from '../../src/tui/feed.ts';
import { layout, rollingLine } from '../../src/tui/layout.ts';
import { initialState, type KeyName, keyMap, ratesBetween, reduce, type TopState } from '../../src/tui/model.ts';
import { Screen } from '../../src/tui/screen.tsx';
import { until } from '../broker/harness.ts';

const startedAtMs = 1_800_000_000_000;

function snapshot(
  second: number,
  changes: { completed?: number; started?: number; name?: string; wallSecond?: number } = {},
): Snapshot {
  const completed = changes.completed ?? 10 * second;
  const collector = (id: string, status: 'healthy' | 'failing', done: number): Snapshot['collectors'][number] => ({
    collector_id: id,
    collector_type: 'procmond',
    version: '1',
    hostname: 'h',
    pid: 7,
    operations: ['scan'],
    capabilities: [],
    labels: {},
    metadata: {},
    status,
    status_reason: status === 'failing' ? 'no heartbeat for 32 s' : '',
    status_changed_at_ms: startedAtMs,
    weight: 1,
    tasks_in_progress: 2,
    max_concurrent_tasks: 4,
    completed: done,
    failed: 0,
    last_heartbeat_at_ms: startedAtMs + second * 1000,
    cpu_percent: 12.4,
    rss_bytes: 81_000_000,
    confidence: status === 'healthy' ? 1 : 0,
    supervised: true,
  });
  return {
    broker: {
      version: '0.1.0',
      pid: 42,
      socket: '/run/deye/broker.sock',
      store: '/s/deye.db',
      started_at_ms: changes.started ?? startedAtMs,
      uptime_ms: second * 1000,
      at_ms: startedAtMs + (changes.wallSecond ?? second) * 1000,
      sessions: 3,
      rss_bytes: 90_000_000,
      commit_us: 1250,
      stop_grace_ms: 30_000,
      sync: 'batch',
      is_store_full: false,
    },
    totals: {
      submitted: 12 * second,
      assigned: completed,
      completed,
      failed_attempts: 1,
      retried: 1,
      requeued: 0,
      dead_lettered: 2,
      cancelled: 0,
    },
    waiting: 8,
    in_progress: 2,
    operation_count: 2,
    collector_count: 2,
    queues: [
      {
        operation: changes.name ?? 'enumerate_processes',
        pending: 5,
        high: 1,
        normal: 3,
        low: 1,
        retrying: 2,
        in_progress: 2,
        completed,
        failed: 1,
        dead_letter: 2,
        oldest_at_ms: startedAtMs,
        unservable: false,
      },
      {
        operation: 'dream',
        pending: 1,
        high: 0,
        normal: 1,
        low: 0,
        retrying: 0,
        in_progress: 0,
        completed: 0,
        failed: 0,
        dead_letter: 0,
        oldest_at_ms: startedAtMs,
        unservable: true,
      },
    ],
    collectors: [collector('procmond', 'healthy', completed), collector('procmond-2', 'failing', 0)],
    routing: {
      strategy: 'least_loaded',
      per_operation: {},
      strategies: { least_loaded: 'the fewest tasks in progress' },
      decisions: { least_loaded: completed },
      by_collector: { procmond: completed * 3, 'procmond-2': completed },
      plans_dropped: 0,
    },
    relay: { published: 100 * second, delivered: 100, dropped: 0, stalls: 3, calls: 4, subscriptions: 6 },
  };
}

const after = (...seconds: number[]): TopState =>
  seconds.reduce(
    (state, second) =>
      reduce(state, { kind: 'snapshot', snapshot: snapshot(second), atMs: startedAtMs + second * 1000 }),
    initialState,
  );
const textOf = (state: TopState, columns: number, rows: number, nowMs = startedAtMs + 3000) =>
  layout(state, columns, rows, nowMs).map((line) => line.map(({ text }) => text).join(''));

describe('the model', () => {
  test('rates are differences per second, and none across a restart', () => {
    expect(ratesBetween(snapshot(1), snapshot(3))).toMatchObject({
      submitted: 12,
      completed: 10,
      published: 100,
      byOperation: { enumerate_processes: 10 },
      byCollector: { procmond: 10 },
    });
    expect(ratesBetween(snapshot(5), snapshot(6, { started: startedAtMs + 5500, completed: 1 })).completed).toBe(0);
    expect(ratesBetween(undefined, snapshot(1)).completed).toBe(0);
  });
  test('rates do not follow the wall clock', () => {
    for (const wallSecond of [-3600, 1, 3600])
      expect(ratesBetween(snapshot(1), snapshot(3, { wallSecond })).completed).toBe(10);
  });
  test('paused, nothing changes', () => {
    const paused = reduce(after(1), { kind: 'key', name: 'pause' });
    expect(reduce(paused, { kind: 'snapshot', snapshot: snapshot(9), atMs: 9 }).latest).toBe(paused.latest);
  });
  test('panes and scrolling stay within bounds', () => {
    let state = after(1);
    for (let at = 0; at < 9; at++) state = reduce(state, { kind: 'key', name: 'down' });
    expect(state.offset.queues).toBe(1);
    state = reduce(reduce(state, { kind: 'key', name: 'next' }), { kind: 'key', name: 'up' });
    expect([state.focus, state.offset.collectors]).toEqual(['collectors', 0]);
  });
});

describe('the layout', () => {
  test('80×24 shows queues, collectors and routing', () => {
    const lines = textOf(after(1, 2, 3), 80, 24);
    expect(lines).toHaveLength(24);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(81);
    const screen = lines.join('\n');
    for (const wanted of [
      /deye top .*0\.1\.0.*live/,
      /submit 12\/s {2}done 10\/s/,
      /queues/,
      /enumerate_processes +5/,
      /procmond +healthy/,
      /procmond-2 +failing/,
      /strategy least_loaded/,
      /procmond +90 +75%/,
      /q quit/,
    ])
      expect(screen).toMatch(wanted);
  });
  test('a wider one shows more columns, a narrow one the important ones', () => {
    expect(textOf(after(1), 160, 40).join('\n')).toMatch(/no_capable_collector[\s\S]*no heartbeat for 32 s/);
    const narrow = textOf(after(1), 42, 20).join('\n');
    expect(narrow).toMatch(/OPERATION +WAIT +RUN/);
    expect(narrow).not.toMatch(/OLDEST/);
  });
  test('below 40×10 it says what it needs', () =>
    expect(textOf(after(1), 39, 9).join(' ')).toMatch(/needs 40×10.*39×9/));
  test('broker gone: the last frame stays, grey, with its age', () => {
    const gone = reduce(after(1, 2), { kind: 'connection', state: 'reconnecting', why: 'closed' });
    const lines = layout(gone, 80, 24, startedAtMs + 12_000);
    expect(lines[0]!.map(({ text }) => text).join('')).toMatch(/broker gone, 10 s old/);
    expect(
      lines
        .slice(2, -1)
        .flat()
        .every(({ color }) => color === 'gray'),
    ).toBe(true);
    expect(reduce(gone, { kind: 'snapshot', snapshot: snapshot(20), atMs: 1 }).connection).toBe('connected');
  });
  test('a name cannot move the cursor or flood the screen', () => {
    const state = reduce(initialState, {
      kind: 'snapshot',
      snapshot: snapshot(1, { name: `\u001b[2J${'x'.repeat(1_000_000)}` }),
      atMs: startedAtMs,
    });
    const lines = textOf(state, 80, 24);
    expect(lines.join('')).not.toContain('\u001b');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(81);
  });
  test('columns stand under each other, whatever script a name is in', () => {
    const state = reduce(initialState, {
      kind: 'snapshot',
      snapshot: snapshot(1, { name: '日本語のスキャン🦊' }),
      atMs: startedAtMs,
    });
    for (const width of [60, 80, 200]) {
      const lines = textOf(state, width, 24);
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(width + 1);
      const [head = '', first = '', second = ''] = lines.slice(lines.findIndex((line) => /OPERATION/.test(line)));
      const end = columnsOf(head.slice(0, head.indexOf('WAIT') + 4));
      for (const [line, count] of [
        [first, '5'],
        [second, '1'],
      ] as const)
        expect(columnsOf(line.slice(0, line.indexOf(` ${count} `) + 2))).toBe(end);
    }
  });
  test('totals are of all operations, also of those that the snapshot leaves out', () => {
    const capped = { ...snapshot(1), operation_count: 12_345, waiting: 99_999, in_progress: 77 };
    const state = reduce(initialState, { kind: 'snapshot', snapshot: capped, atMs: startedAtMs });
    const screen = textOf(state, 120, 24).join('\n');
    expect(screen).toMatch(/waiting 99999 {2}running 77/);
    expect(screen).toMatch(/the busiest 2 of 12345/);
    expect(screen).toMatch(/commit 1\.3 ms/);
    expect(screen).toMatch(/dropped 0 {2}stalls 3/);
    expect(rollingLine(state)).toMatch(/waiting 99999 running 77/);
  });
  test('an operation that enters a capped list has no rate yet', () => {
    const before = { ...snapshot(1), operation_count: 500, queues: [] };
    expect(ratesBetween(before, { ...snapshot(2), operation_count: 500 }).byOperation.enumerate_processes).toBe(0);
    expect(ratesBetween({ ...before, operation_count: 0 }, snapshot(2)).byOperation.enumerate_processes).toBe(20);
  });
  test('commands to type next reach the same broker', () => {
    const feed = new TopFeed(' --socket /x.sock');
    feed.send({ kind: 'snapshot', snapshot: { ...snapshot(1), queues: [], collectors: [] }, atMs: startedAtMs });
    const screen = textOf(feed.current(), 120, 24).join('\n');
    expect(screen).toContain('deye task submit enumerate_processes --socket /x.sock');
    expect(screen).toContain('deye collectors run procmond --socket /x.sock');
  });
  test('LAST SEEN is a title, not a piece of one', () =>
    expect(textOf(after(1), 160, 40).join('\n')).toMatch(/LAST SEEN/));
  test('help is made from the keys', () => {
    const help = textOf(reduce(after(1), { kind: 'key', name: 'help' }), 80, 24).join('\n');
    for (const { help: text } of keyMap) expect(help).toContain(text);
  });
  test('sparklines and rolling lines', () => {
    expect(sparkline([0, 1, 4, 8], 3)).toBe('▁▄█');
    expect(sparkline([0, 0], 5)).toBe('  ');
    expect(rollingLine(after(1, 2))).toMatch(/submit 12\/s done 10\/s waiting 8 running 2 dead 2 collectors 1\/2/);
  });
});

test('help opens and closes with ?, and escape only closes it', () => {
  const press = (state: TopState, name: KeyName) => reduce(state, { kind: 'key', name });
  const open = press(initialState, 'help');
  expect([open.help, press(open, 'help').help, press(open, 'close').help]).toEqual([true, false, false]);
  expect(press(initialState, 'close')).toEqual(initialState);
});

test('the window draws, follows keys and new snapshots', async () => {
  const feed = new TopFeed();
  const window = render(<Screen feed={feed} />);
  await until(() => window.lastFrame()!.includes('Waiting for the broker'), 'it waits');
  feed.send({ kind: 'snapshot', snapshot: snapshot(1), atMs: performance.now() });
  await until(() => window.lastFrame()!.includes('enumerate_processes'), 'the snapshot');
  window.stdin.write('?');
  await until(() => window.lastFrame()!.includes('pause the screen'), 'the help');
  window.stdin.write('\u001b');
  await until(() => window.lastFrame()!.includes('enumerate_processes'), 'the help is closed');
  window.stdin.write('p');
  await until(() => window.lastFrame()!.includes('PAUSED'), 'paused');
  window.unmount();
});

test('the age of what is shown and the uptime do not follow the wall clock', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const feed = new TopFeed();
  feed.send({ kind: 'snapshot', snapshot: snapshot(5, { wallSecond: 9000 }), atMs: performance.now() });
  vi.setSystemTime(Date.now() + 10 * 3_600_000);
  feed.send({ kind: 'connection', state: 'reconnecting', why: 'closed' });
  const window = render(<Screen feed={feed} />);
  await until(() => window.lastFrame()!.includes('broker gone'), 'it says so');
  expect(window.lastFrame()).toMatch(/up 5 s .*broker gone, \d+ m?s old/);
  window.unmount();
  vi.useRealTimers();
});
