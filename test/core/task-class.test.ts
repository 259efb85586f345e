import { describe, expect, test } from 'vitest';
import type { Input } from '../../src/core/input.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import { classKey } from '../../src/core/task-class.ts';
import { assigned, specOf, specsOf, TestCore } from './harness.ts';

describe('classKey', () => {
  const keyOf = (changes: Partial<TaskSpec>, excluded: readonly string[] = []) =>
    classKey(specOf('t', changes), excluded);

  test('the same for what the same collectors can serve, in whatever order it is written', () => {
    expect(keyOf({})).toBe('scan');
    expect(keyOf({ priority: 7, timeoutMs: 1, metadata: { a: 'b' } })).toBe('scan');
    expect(keyOf({ requires: ['b', 'a'] })).toBe(keyOf({ requires: ['a', 'b'] }));
    expect(keyOf({ labels: { a: '1', b: '2', c: '3' } })).toBe(keyOf({ labels: { c: '3', b: '2', a: '1' } }));
    expect(keyOf({}, ['B', 'A'])).toBe(keyOf({}, ['A', 'B']));
  });

  test('another for each difference, also between places', () => {
    const keys = [
      keyOf({}),
      keyOf({ operation: 'hash' }),
      keyOf({ requires: ['x'] }),
      keyOf({ requires: ['x', 'y'] }),
      keyOf({ labels: { x: 'y' } }),
      keyOf({ labels: { x: '' } }),
      keyOf({ labels: { y: 'x' } }),
      keyOf({ collectorType: 'x' }),
      keyOf({ collectorId: 'x' }),
      keyOf({}, ['x']),
      keyOf({ collectorType: 'x', collectorId: 'y' }),
      keyOf({ requires: ['x,y'] }),
      keyOf({ labels: { 'x","': 'y' } }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('parked tasks are found again', () => {
  const parked = (): TestCore => {
    const core = new TestCore({ outboundBytesMax: 100 });
    core.join('A');
    core.submit(...specsOf(['t1', 't2', 't3']), specOf('t4', { priority: 200 }));
    return core;
  };

  test('when there is credit', () => {
    const core = parked();
    expect(assigned(core.complete('t4'))).toEqual(['t1>A']);
    expect(assigned(core.complete('t1'))).toEqual(['t2>A']);
  });

  test('when a level is accepted again', () => {
    const core = parked();
    core.join('A', { priority_levels: [[200, 255]] });
    expect(assigned(core.complete('t4'))).toEqual([]);
    expect(assigned(core.join('A', { priority_levels: [[100, 199]] }))).toEqual(['t1>A']);
  });

  test('after registration under the same and under another id', () => {
    const core = parked();
    expect(assigned(core.close('A'))).toEqual([]);
    expect(assigned(core.join('A'))).toEqual(['t4>A']);
    expect(assigned(core.join('B'))).toEqual(['t1>B']);
  });

  test('when what was sent has been read', () => {
    const core = new TestCore({ outboundBytesMax: 0 });
    core.join('A', { max_concurrent_tasks: 9 });
    expect(assigned(core.submit(...specsOf(['t1', 't2'])))).toEqual(['t1>A']);
    const bytesRead: Input = { kind: 'bytes_read', session: core.sessionOf('A'), bytes: 1 };
    expect(assigned(core.give(bytesRead))).toEqual(['t2>A']);
  });

  test('when the collector is well again', () => {
    const core = parked();
    core.join('B', { status: 'stopped' });
    expect(assigned(core.beat('B'))).toEqual(['t1>B']);
  });

  test('what somebody else took meanwhile is passed over, what was cancelled too', () => {
    const core = parked();
    core.join('B');
    expect(core.held()).toEqual({ A: ['t4'], B: ['t1'] });
    core.cancel('t2');
    expect(assigned(core.complete('t4'))).toEqual(['t3>A']);
    expect(assigned(core.complete('t1'))).toEqual([]);
    expect(assigned(core.submit(specOf('t5', { priority: 0 })))).toEqual(['t5>B']);
  });

  test('a better one that comes later goes first, an older one that comes back goes before its like', () => {
    const core = parked();
    core.submit(specOf('t5', { priority: 150 }));
    core.fail('t4', { retry_after_ms: 1000 });
    expect(core.held()).toEqual({ A: ['t5'] });
    core.fail('t5', { next: 'elsewhere' });
    expect(core.held()).toEqual({ A: ['t1'] });
    core.until(1000);
    expect(assigned(core.complete('t1'))).toEqual(['t4>A']);
    expect(assigned(core.join('B'))).toEqual(['t5>B']);
  });
});

test('the candidates of a class are in order of id, whoever came first', () => {
  const core = new TestCore();
  core.submit(specOf('t', { collectorId: 'nobody' }), specOf('u', { priority: 1 }));
  for (const name of ['C', 'A', 'D', 'B']) core.join(name, { status: 'stopped' });
  core.submit(specOf('v', { labels: { x: '1' } }));
  const ids = (key: string) => core.state.classes.byKey.get(key)!.pairings.map(({ collector }) => collector.id);
  expect(ids('scan')).toEqual(['A', 'B', 'C', 'D']);
  core.close('C');
  core.join('C', { status: 'stopped' });
  expect(ids('scan')).toEqual(['A', 'B', 'C', 'D']);
});

test('a class that is empty keeps no levels, and counts as empty once', () => {
  const core = new TestCore();
  core.submit(specOf('a', { priority: 5 }), specOf('b', { priority: 9 }), specOf('c', { priority: 7 }));
  const cls = core.task('a').class!;
  expect(cls.levels).toEqual([9, 7, 5]);
  core.cancel('c');
  expect([cls.levels, cls.size]).toEqual([[9, 5], 2]);
  core.cancel('a');
  core.cancel('b');
  expect([cls.levels, cls.size, cls.pending.size]).toEqual([[], 0, 0]);
  expect([...core.state.classes.empty]).toEqual([cls]);
  core.submit(specOf('d'));
  expect(core.task('d').class).toBe(cls);
  expect(core.state.classes.empty.size).toBe(0);
});
