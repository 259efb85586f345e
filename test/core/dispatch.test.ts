import { describe, expect, test } from 'vitest';
import { priorityNames } from '../../src/protocol/schema.ts';
import { assigned, named, offering, recordsOf, specOf, specsOf, TestCore } from './harness.ts';
import { play } from './transcript.ts';

describe('order', () => {
  test('submit 1, 5, 3, 2, 4, then a collector joins: 5, 4, 3, 2, 1', () => {
    play(`
      0s submit p1 scan priority 1
      → p1 pending at 0, nobody can
      0s submit p5 scan priority 5
      → p5 pending at 0, nobody can
      0s submit p3 scan priority 3
      → p3 pending at 1, nobody can
      0s submit p2 scan priority 2
      → p2 pending at 2, nobody can
      0s submit p4 scan priority 4
      → p4 pending at 1, nobody can
      1s A joins: scan credit 5
      → A joined
      → p5 to A (1)
      → p4 to A (1)
      → p3 to A (1)
      → p2 to A (1)
      → p1 to A (1)
    `);
  });

  test.each([
    ['low critical normal high', 'critical high normal low'],
    ['99 255 0 100', '255 100 99 0'],
  ])('%s come out as %s', (submitted, expected) => {
    const core = new TestCore();
    for (const id of submitted.split(' '))
      core.submit(specOf(id, { priority: priorityNames[id as 'high'] ?? Number(id) }));
    const out = core.join('A', { max_concurrent_tasks: 9 });
    expect(assigned(out)).toEqual(expected.split(' ').map((id) => `${id}>A`));
  });

  test('same priority: oldest first, also after a retry', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      0s submit t2 scan
      → t2 pending at 0
      1s A fails t1#1
      → t1 retrying
      → t1 to A (2)
      2s A completes t1#2
      → t1 completed
      → t2 to A (1)
    `);
  });

  test('one task that nobody can serve does not block another', () => {
    const core = new TestCore();
    core.submit(specOf('t1', { operation: 'dream', priority: 250 }), specOf('t2'));
    expect(assigned(core.join('A'))).toEqual(['t2>A']);
    expect(core.task('t1').life.state).toBe('pending');
  });

  test('over several classes: the higher priority, then the older task', () => {
    const core = new TestCore();
    core.submit(
      specOf('a1', { operation: 'a', priority: 10 }),
      specOf('b1', { operation: 'b', priority: 30 }),
      specOf('c1', { operation: 'c', priority: 20 }),
      specOf('a2', { operation: 'a', priority: 30 }),
      specOf('b2', { operation: 'b', priority: 10 }),
      specOf('a3', { operation: 'a', priority: 30, requires: ['gpu'] }),
    );
    const out = core.join('A', { ...offering('a b c'), capabilities: ['gpu'], max_concurrent_tasks: 9 });
    expect(assigned(out)).toEqual(['b1>A', 'a2>A', 'a3>A', 'c1>A', 'a1>A', 'b2>A']);
  });

  test('the same in the step that brings the tasks', () => {
    const core = new TestCore();
    core.join('A', { ...offering('a b'), max_concurrent_tasks: 9 });
    const priorities = [5, 7, 6, 7, 5, 9];
    const specs = priorities.map((priority, at) => specOf(`t${at}`, { priority, operation: 'ab'[at % 2]! }));
    expect(assigned(core.submit(...specs))).toEqual(['t5>A', 't1>A', 't3>A', 't2>A', 't0>A', 't4>A']);
  });

  test('a first task that nobody accepts does not lift the rest of its class over a better one', () => {
    const core = new TestCore();
    core.join('A', { ...offering('scan other'), priority_levels: [[0, 150]] });
    const out = core.submit(
      specOf('s200', { priority: 200 }),
      specOf('s50', { priority: 50 }),
      specOf('o100', { priority: 100, operation: 'other' }),
    );
    expect(assigned(out)).toEqual(['o100>A']);
  });

  test('and a class that went behind still comes in its order', () => {
    const core = new TestCore();
    core.join('A', { ...offering('scan other'), priority_levels: [[0, 150]], max_concurrent_tasks: 9 });
    const out = core.submit(
      specOf('s200', { priority: 200 }),
      ...specsOf(['s50', 's50b', 's50c'], { priority: 50 }),
      specOf('o60', { priority: 60, operation: 'other' }),
      specOf('o40', { priority: 40, operation: 'other' }),
    );
    expect(assigned(out)).toEqual(['o60>A', 's50>A', 's50b>A', 's50c>A', 'o40>A']);
    expect(core.task('s200').life.state).toBe('pending');
  });
});

describe('several collectors gain credit in one step', () => {
  test('the best tasks go first, whichever collector they go to', () => {
    const core = new TestCore({ leaseMs: 1000 });
    core.join('A', offering('a'));
    core.join('B', offering('b'));
    core.join('C', offering('a b c'));
    core.submit(
      specOf('xa', { operation: 'a', maxRetries: 0 }),
      specOf('xb', { operation: 'b', maxRetries: 0 }),
      specOf('xc', { operation: 'c', maxRetries: 0 }),
    );
    expect(core.held()).toEqual({ A: ['xa'], B: ['xb'], C: ['xc'] });
    core.submit(
      specOf('a1', { operation: 'a', priority: 1 }),
      specOf('b9', { operation: 'b', priority: 9 }),
      specOf('b8', { operation: 'b', priority: 8 }),
      specOf('c5', { operation: 'c', priority: 5 }),
      specOf('a7', { operation: 'a', priority: 7 }),
    );
    // The three leases end at the same moment. least_loaded gives b9 to B, whose latest assignment was before C's.
    expect(assigned(core.until(1000))).toEqual(['b9>B', 'b8>C', 'a7>A']);
    expect(core.state.freed.size).toBe(0);
  });

  test('two tasks that come back when their collector goes, to two that are free', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 2 });
    core.submit(specOf('low', { priority: 1 }), specOf('high', { priority: 2 }));
    core.join('B', { priority_levels: [[0, 1]] });
    core.join('C', {});
    expect(assigned(core.close('A'))).toEqual(['high>C', 'low>B']);
  });
});

test('what an assignment is, and what is counted and kept of it', () => {
  const core = new TestCore({ wallMs: 5000, epoch: 9 });
  core.join('A', { collector_type: 'deep', max_concurrent_tasks: 2 });
  core.nowMs = 100;
  const spec = specOf('t1', { payload: new Uint8Array(10), timeoutMs: 500 });
  const out = core.submit(spec).slice(0, 5);
  const { token } = core.task('t1');
  const moved = { kind: 'moved', seq: 1, state: 'in_progress', attempt: 1, token, atMs: 5100, collectorId: 'A' };
  const nothing = { readyAtMs: undefined, delayMs: undefined, error: undefined, excluded: [], result: undefined };
  expect(out).toEqual([
    { kind: 'record', record: { kind: 'submitted', seq: 1, spec, submittedAtMs: 5100 } },
    { kind: 'task_moved', spec, state: 'pending', attempt: 0, collectorId: undefined },
    { kind: 'record', record: { ...moved, ...nothing } },
    {
      kind: 'assign',
      session: 1,
      topic: 'control.tasks.deep.A',
      spec,
      payload: spec.payload,
      attempt: 1,
      token,
      leaseMs: 30_000,
    },
    { kind: 'task_moved', spec, state: 'in_progress', attempt: 1, collectorId: 'A', strategy: 'least_loaded' },
  ]);
  expect(core.task('t1').life).toEqual({
    state: 'in_progress',
    collector: core.state.collectors.get('A'),
    collectorId: 'A',
    startedAtMs: 5100,
    strategy: 'least_loaded',
    timeoutAtMs: 600,
    leaseEndsAtMs: 30_100,
    cancelSentAtMs: undefined,
  });
  core.submit(specOf('t2'));
  expect(core.state.collectors.get('A')).toMatchObject({ assigned: 2, lastAssigned: 2, unreadBytes: 11 });
  expect(core.state.totals).toMatchObject({ submitted: 2, assigned: 2 });
  expect(core.state.decisions).toEqual(new Map([['least_loaded', 2]]));
});

test('the record of a later attempt carries what went before', () => {
  const core = new TestCore();
  core.join('A');
  core.submit(specOf('t1'));
  core.fail('t1', { next: 'elsewhere' });
  const records = recordsOf(core.join('B')).filter(({ kind }) => kind === 'moved');
  const error = { code: 'oops', message: 'it broke' };
  expect(records).toMatchObject([{ attempt: 2, collectorId: 'B', error, excluded: ['A'] }]);
});

describe('who is a candidate', () => {
  test('healthy before degraded; stopped not at all', () => {
    play(`
      0s A joins: scan credit 9 status degraded
      → A joined
      0s B joins: scan credit 1
      → B joined
      0s C joins: scan credit 9 status stopped
      → C joined
      0s submit t1 scan
      → t1 to B (1)
      → t1 in_progress
      0s submit t2 scan
      → t2 to A (1)
      → t2 in_progress
    `);
  });

  test('the healthy ones that accept the priority, not all that are healthy', () => {
    const core = new TestCore();
    core.join('A', { status: 'degraded', max_concurrent_tasks: 9 });
    core.join('B', { priority_levels: [[0, 50]], max_concurrent_tasks: 9 });
    expect(assigned(core.submit(specOf('t1', { priority: 60 }), specOf('t2', { priority: 50 })))).toEqual([
      't1>A',
      't2>B',
    ]);
  });

  test('never more than it takes at once, nor than any collector may hold', () => {
    const core = new TestCore({ collectorTasksMax: 3 });
    core.join('A', { max_concurrent_tasks: 2 });
    core.join('B', { max_concurrent_tasks: 50 });
    core.submit(...specsOf(named(10)));
    expect([...core.state.collectors.values()].map(({ tasks }) => tasks.size)).toEqual([2, 3]);
  });
});

test('a task that comes back while the broker stops waits, and its class is not ready', () => {
  const core = new TestCore();
  core.join('A');
  core.submit(specOf('t1'));
  core.join('B');
  core.give({ kind: 'stop' });
  expect(assigned(core.close('A'))).toEqual([]);
  expect(core.task('t1').life.state).toBe('pending');
  expect(core.state.classes.ready.size).toBe(0);
});

test('while the broker stops nothing is handed out, whoever gains credit', () => {
  const core = new TestCore();
  core.join('A');
  core.submit(...specsOf(['t1', 't2']));
  core.give({ kind: 'stop' });
  expect(assigned(core.complete('t1'))).toEqual([]);
  expect(assigned(core.join('B'))).toEqual([]);
  expect(core.state.freed.size).toBe(0);
  expect(core.state.classes.ready.size).toBe(0);
  core.join('C', offering('other'));
  expect(core.task('t2').life.state).toBe('pending');
});
