import { describe, expect, test } from 'vitest';
import type { Output } from '../../src/core/input.ts';
import { fullRecord, submittedTask } from '../../src/core/replay.ts';
import { type Life, move, newTask } from '../../src/core/task.ts';
import { mayFollow, stateTable, type TaskState, taskStates } from '../../src/protocol/state.ts';
import { assigned, caller, changesOf, specOf, specsOf, TestCore } from './harness.ts';

describe('a task moves along the edges of the table, and no others', () => {
  const edges = taskStates.flatMap((from) => taskStates.map((to): [TaskState, TaskState] => [from, to]));
  test.each(edges)('%s to %s', (from, to) => {
    // What belongs to a state is nothing to `move`.
    const life = (state: TaskState): Life => ({ state }) as Life;
    const submitted = submittedTask({ seq: 1, spec: specOf('t1'), submittedAtMs: 0 });
    const task = newTask({ ...submitted, state: from }, life(from));
    const moved = { ...fullRecord({ ...task, state: to, attempt: 7 }), kind: 'moved', result: undefined } as const;
    const out: Output[] = [];
    if ((stateTable[from].next as readonly string[]).includes(to)) {
      move(task, life(to), moved, out);
      expect([task.life.state, task.state, task.attempt]).toEqual([to, to, 7]);
      expect(out).toEqual([{ kind: 'record', record: moved }]);
    } else expect(() => move(task, life(to), moved, out)).toThrow(`task t1 cannot go from ${from} to ${to}`);
    expect(mayFollow(from, to)).toBe(task.life.state === to && from !== to);
  });
});

describe('one step', () => {
  test('applies its input, then everything that is due, then hands out', () => {
    const core = new TestCore({ heartbeatMs: 1000, leaseMs: 5000 });
    core.join('A', { max_concurrent_tasks: 2 });
    core.submit(...specsOf(['t1', 't2'], { timeoutMs: 1500 }), specOf('t3'));
    core.give({ kind: 'wait', to: caller, id: 't3', include: [], timeoutMs: 1200 });
    core.fail('t2', { retry_after_ms: 1300 });
    expect(core.held()).toEqual({ A: ['t1', 't3'] });
    core.nowMs = 1500;
    const out = core.give({
      kind: 'complete',
      to: { session: 1, id: 9 },
      taskId: 't3',
      token: core.task('t3').token,
      result: undefined,
    });
    const words = out.flatMap((one) => {
      if (one.kind === 'task_moved') return [`${one.spec.id} ${one.state}`];
      if (one.kind === 'record' || one.kind === 'registered') return [];
      return one.kind === 'collector_changed' ? changesOf([one]) : [one.kind];
    });
    expect(words).toEqual([
      't3 completed',
      'ended',
      'reply',
      'A degraded: one heartbeat missed',
      't2 pending',
      'cancel_attempt',
      'assign',
      't2 in_progress',
    ]);
  });

  test('something is due at its moment, not a moment before', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('t1'));
    core.fail('t1', { retry_after_ms: 100 });
    core.nowMs = 99.999;
    expect(core.give({ kind: 'tick' })).toEqual([]);
    core.nowMs = 100;
    expect(assigned(core.give({ kind: 'tick' }))).toEqual(['t1>A']);
  });

  test('reading answers, or publishes, what is there at that moment, and changes nothing', () => {
    const core = new TestCore({ wallMs: 5 });
    core.submit(specOf('t1'));
    core.nowMs = 2;
    const read = core.give({
      kind: 'read',
      to: caller,
      read: ({ tasks }, now) => ({ result: [tasks.size, now.wallMs] }),
    });
    expect(read).toEqual([{ kind: 'reply', to: caller, outcome: { result: [1, 7] } }]);
    const published = core.give({ kind: 'publish', topic: 'x.y', read: ({ tasks }, now) => [tasks.size, now.wallMs] });
    expect(published).toEqual([{ kind: 'publish', topic: 'x.y', body: [1, 7] }]);
  });

  test('a tick or a stop by itself gives nothing', () => {
    const core = new TestCore();
    expect(core.give({ kind: 'tick' })).toEqual([]);
    expect(core.give({ kind: 'stop' })).toEqual([]);
    expect(core.state.stopping).toBe(true);
  });
});
