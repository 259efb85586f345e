import { describe, expect, test } from 'vitest';
import { placements } from '../../src/core/placement.ts';
import { collectorView, collectorViews, queueViews, routingView } from '../../src/core/view.ts';
import { collectorViewSchema } from '../../src/protocol/collector-schema.ts';
import { routingViewSchema, snapshotSchema } from '../../src/protocol/view-schema.ts';
import { caller, faultOf, named, offering, recordsOf, resultOf, specOf, specsOf, TestCore } from './harness.ts';

describe('a collector', () => {
  test('all of it, as in the message table', () => {
    const core = new TestCore({ wallMs: 50_000 });
    core.join('A', {
      collector_type: 'deep',
      version: '1.2',
      hostname: 'box',
      pid: 4242,
      ...offering('scan hash'),
      capabilities: ['process'],
      labels: { zone: 'a' },
      metadata: { note: 'x' },
      weight: 2,
      max_concurrent_tasks: 2,
    });
    core.submit(...specsOf(['t1', 't2', 't3']));
    core.complete('t1');
    core.fail('t2', { next: 'give_up' });
    core.nowMs = 1500;
    core.beat('A', ['t3'], { status: 'degraded', status_reason: 'slow', cpu_percent: 12.5, rss_bytes: 4096 });
    core.nowMs = 7500;
    const view = collectorView(core.state, core.state.collectors.get('A')!, core.now);
    expect(view).toEqual({
      collector_id: 'A',
      collector_type: 'deep',
      version: '1.2',
      hostname: 'box',
      pid: 4242,
      operations: ['scan', 'hash'],
      capabilities: ['process'],
      labels: { zone: 'a' },
      metadata: { note: 'x' },
      weight: 2,
      status: 'degraded',
      status_reason: 'slow',
      status_changed_at_ms: 51_500,
      tasks_in_progress: 1,
      max_concurrent_tasks: 2,
      completed: 1,
      failed: 1,
      last_heartbeat_at_ms: 51_500,
      cpu_percent: 12.5,
      rss_bytes: 4096,
      confidence: 0.5 * 0.8,
      supervised: false,
    });
    expect(collectorViewSchema.parse(view)).toEqual(view);
  });

  test('without figures that it did not report', () => {
    const core = new TestCore();
    core.join('A');
    const view = collectorView(core.state, core.state.collectors.get('A')!, core.now);
    expect('cpu_percent' in view || 'rss_bytes' in view).toBe(false);
    core.beat('A', [], { cpu_percent: 0, rss_bytes: 0 });
    expect(collectorViews(core.state, core.now)).toMatchObject([{ cpu_percent: 0, rss_bytes: 0 }]);
  });

  test.each([
    ['healthy', 0, 1],
    ['healthy', 6000, 0.8],
    ['healthy', 15_000, 0.5],
    ['healthy', 30_000, 0.5],
    ['healthy', 30_001, 0.1],
    ['degraded', 0, 0.5],
    ['degraded', 30_001, 0.05],
    ['stopped', 0, 0],
  ] as const)('confidence: %s, %i ms after it was active, is %d', (status, ageMs, expected) => {
    const core = new TestCore();
    core.join('A', { status });
    core.nowMs = ageMs;
    expect(collectorView(core.state, core.state.collectors.get('A')!, core.now).confidence).toBeCloseTo(expected, 10);
  });

  test('several are in order of id', () => {
    const core = new TestCore();
    for (const name of ['b', 'c', 'a', 'B']) core.join(name);
    expect(collectorViews(core.state, core.now).map(({ collector_id }) => collector_id)).toEqual(['B', 'a', 'b', 'c']);
  });
});

describe('queues', () => {
  test('one operation, with all its numbers', () => {
    const core = new TestCore({ wallMs: 1000 });
    core.submit(specOf('old', { labels: { zone: 'a' } }));
    core.nowMs = 500;
    core.submit(specOf('p1', { priority: 1 }), specOf('p250', { priority: 250 }), specOf('p199', { priority: 199 }));
    core.join('A', { max_concurrent_tasks: 1, labels: { zone: 'a' } });
    core.fail('p250', { retry_after_ms: 60_000 });
    core.complete('p199');
    core.fail('old', { next: 'give_up' });
    core.submit(specOf('p2', { priority: 2 }));
    const [view] = queueViews(core.state);
    expect(view).toEqual({
      operation: 'scan',
      pending: 1,
      high: 0,
      normal: 0,
      low: 1,
      retrying: 1,
      in_progress: 1,
      completed: 1,
      failed: 2,
      dead_letter: 1,
      oldest_at_ms: 1500,
      unservable: false,
    });
    expect(snapshotSchema.shape.queues.parse([view])).toEqual([view]);
  });

  test('the oldest of all classes and levels; none when none waits', () => {
    const core = new TestCore();
    core.join('A', { status: 'stopped' });
    for (const [at, change] of [{ priority: 9 }, { labels: { x: '1' } }, { priority: 200 }].entries()) {
      core.nowMs = 1000 - at * 100;
      core.submit(specOf(`t${at}`, change));
    }
    expect(queueViews(core.state)).toMatchObject([{ oldest_at_ms: 800 }]);
    for (const at of [2, 0, 1]) core.cancel(`t${at}`);
    expect('oldest_at_ms' in queueViews(core.state)[0]!).toBe(false);
  });

  test('unservable when something in it can be done by nobody', () => {
    const core = new TestCore();
    core.submit(specOf('t1'));
    const unservable = () => queueViews(core.state)[0]!.unservable;
    expect(unservable()).toBe(true);
    core.join('A', { priority_levels: [[0, 99]], status: 'stopped' });
    expect(unservable()).toBe(true);
    core.join('A', { priority_levels: [[0, 100]], status: 'stopped' });
    expect(unservable()).toBe(false);
    core.submit(specOf('t2', { priority: 101 }));
    expect(unservable()).toBe(true);
    core.cancel('t2');
    core.submit(specOf('t3', { labels: { x: '1' } }));
    expect(unservable()).toBe(true);
    core.cancel('t3');
    expect(unservable()).toBe(false);
  });

  test('at most so many, the busiest, by name', () => {
    const core = new TestCore({ snapshotRowsMax: 3 });
    const counts = { e: 1, d: 5, c: 2, b: 3, a: 1 };
    for (const [operation, count] of Object.entries(counts))
      core.submit(...specsOf(named(count, operation), { operation }), specOf(`${operation}x`, { operation: 'f' }));
    expect(queueViews(core.state).map(({ operation }) => operation)).toEqual(['b', 'd', 'f']);
    core.cancel('ax');
    for (const name of ['d0', 'd1', 'd2', 'd3', 'd4']) core.cancel(name);
    expect(queueViews(core.state).map(({ operation }) => operation)).toEqual(['b', 'c', 'f']);
  });

  test('all of them up to the limit, by name', () => {
    const core = new TestCore({ snapshotRowsMax: 3 });
    for (const operation of ['c', 'a', 'b']) core.submit(specOf(operation, { operation }));
    expect(queueViews(core.state).map(({ operation }) => operation)).toEqual(['a', 'b', 'c']);
  });
});

describe('routing', () => {
  test('all of it', () => {
    const core = new TestCore();
    for (const name of ['A', 'B']) core.join(name, { ...offering('scan constructor'), max_concurrent_tasks: 9 });
    const route = (strategy: string, operation?: string) =>
      core.give({ kind: 'route', to: caller, strategy, operation });
    core.submit(specOf('t1'));
    route('round_robin');
    const out = route('first_available', 'constructor');
    core.submit(specOf('t2', { operation: 'constructor' }), specOf('t3', { operation: 'constructor' }));
    core.state.plansDropped = 4;
    const view = routingView(core.state);
    expect(view).toEqual({
      strategy: 'round_robin',
      per_operation: { constructor: 'first_available' },
      strategies: Object.fromEntries([...placements].map(([name, { summary }]) => [name, summary])),
      decisions: { least_loaded: 1, first_available: 2 },
      by_collector: { A: 3, B: 0 },
      plans_dropped: 4,
    });
    expect(routingViewSchema.parse(view)).toEqual(view);
    expect(Object.keys(view.strategies)).toEqual([
      'least_loaded',
      'round_robin',
      'first_available',
      'random',
      'weighted',
    ]);
    expect(resultOf(out)).toEqual({ strategy: 'first_available', operation: 'constructor' });
    core.close('B');
    expect(routingView(core.state).by_collector).toEqual({ A: 3 });
  });

  test('choosing one is kept and answered; an unknown one is refused with those that there are', () => {
    const core = new TestCore();
    const route = (strategy: string, operation?: string) =>
      core.give({ kind: 'route', to: caller, strategy, operation });
    expect(recordsOf(route('weighted'))).toEqual([
      { kind: 'setting', namespace: 'default', key: 'routing.strategy', value: 'weighted' },
    ]);
    expect(core.state.strategy).toBe('weighted');
    expect(core.state.operations.byName.size).toBe(0);
    const known = [...placements.keys(), 'default'];
    const out = route('toString', 'scan');
    expect(faultOf(out)).toMatchObject({
      code: 'invalid_params',
      message: `There is no strategy "toString". There are: ${known.join(', ')}.`,
      context: { strategies: known },
    });
    expect(out).toHaveLength(1);
    expect(core.state.operations.byName.size).toBe(0);
  });
});
