import { describe, expect, test, vi } from 'vitest';
import { type AttemptResult, type Placement, placements } from '../../src/core/placement.ts';
import { recover } from '../../src/core/recover.ts';
import type { Task } from '../../src/core/task.ts';
import { assigned, caller, named, offering, recordsOf, specOf, specsOf, storedOf, TestCore } from './harness.ts';

const routed = (strategy: string, core = new TestCore()): TestCore => {
  core.give({ kind: 'route', to: caller, strategy, operation: undefined });
  return core;
};
const counts = ({ state }: TestCore) =>
  Object.fromEntries([...state.collectors.values()].map((one) => [one.id, one.assigned]));
/** Where tasks went, in order. */
const went = (core: TestCore, tasks: number): string =>
  assigned(core.submit(...specsOf(named(tasks, `t${core.nowMs++}x`))))
    .map((one) => one.split('>')[1])
    .join('');

/** Runs a test with one more placement, which is the broker's strategy. */
function withPlacement(placement: Partial<Placement>, run: (core: TestCore) => void): void {
  const all = placements as Map<string, Placement>;
  all.set('planted', { summary: 'for this test', plan: () => [], ...placement });
  try {
    run(routed('planted'));
  } finally {
    all.delete('planted');
  }
}

describe('round_robin', () => {
  test('gives 100 tasks to two equal collectors as 50 and 50, in turn', () => {
    const core = routed('round_robin');
    core.join('A', { max_concurrent_tasks: 100 });
    core.join('B', { max_concurrent_tasks: 100 });
    expect(went(core, 100)).toBe('AB'.repeat(50));
    expect(counts(core)).toEqual({ A: 50, B: 50 });
  });

  test('goes by id, whoever came first, and past those without credit', () => {
    const core = routed('round_robin');
    core.join('C', { max_concurrent_tasks: 3 });
    core.join('A', { max_concurrent_tasks: 3 });
    core.join('B', { max_concurrent_tasks: 1 });
    expect(went(core, 1)).toBe('A');
    expect(went(core, 6)).toBe('BCACAC');
  });

  test('turns for each operation by itself', () => {
    const core = routed('round_robin');
    for (const name of ['A', 'B']) core.join(name, { ...offering('scan hash'), max_concurrent_tasks: 9 });
    expect(went(core, 1)).toBe('A');
    expect(assigned(core.submit(specOf('h1', { operation: 'hash' })))).toEqual(['h1>A']);
    expect(went(core, 1)).toBe('B');
  });
});

describe('least_loaded', () => {
  test('gives nine tasks to three collectors as three each', () => {
    const core = new TestCore();
    for (const name of ['A', 'B', 'C']) core.join(name, { max_concurrent_tasks: 9 });
    expect(went(core, 9)).toBe('ABCABCABC');
    expect(counts(core)).toEqual({ A: 3, B: 3, C: 3 });
  });

  test('the fewest in progress, not the fewest ever', () => {
    const core = new TestCore();
    for (const name of ['A', 'B']) core.join(name, { max_concurrent_tasks: 9 });
    core.submit(...specsOf(['t1', 't2', 't3']));
    core.complete('t1');
    core.complete('t3');
    expect(core.held()).toEqual({ A: [], B: ['t2'] });
    expect(went(core, 1)).toBe('A');
  });

  test('among equals the one that was given a task longest ago', () => {
    const core = new TestCore();
    for (const name of ['A', 'B']) core.join(name, { max_concurrent_tasks: 9 });
    core.submit(...specsOf(['t1', 't2']));
    core.complete('t1');
    core.submit(specOf('t3'));
    core.complete('t2');
    core.complete('t3');
    expect(counts(core)).toEqual({ A: 2, B: 1 });
    expect(went(core, 3)).toBe('BAB');
  });
});

test('weighted: the largest weight ÷ (tasks in progress + 1), among equals the one that waited longest', () => {
  const core = routed('weighted');
  core.join('A', { max_concurrent_tasks: 99, weight: 1 });
  core.join('B', { max_concurrent_tasks: 99, weight: 3 });
  expect(went(core, 8)).toBe('BBABBBAB');
  expect(counts(core)).toEqual({ A: 2, B: 6 });
});

test('first_available: the first in order of id that has credit', () => {
  const core = routed('first_available');
  core.join('B', { max_concurrent_tasks: 2 });
  core.join('A', { max_concurrent_tasks: 2 });
  expect(went(core, 4)).toBe('AABB');
});

test('random: even, and the same for the same seed', () => {
  const drawn = (seed: number): string => {
    const core = routed('random', new TestCore({ seed, collectorTasksMax: 1000 }));
    for (const name of ['A', 'B', 'C']) core.join(name, { max_concurrent_tasks: 1000 });
    return went(core, 900);
  };
  const one = drawn(1);
  expect(drawn(1)).toBe(one);
  expect(drawn(2)).not.toBe(one);
  for (const name of ['A', 'B', 'C']) expect(one.split(name).length - 1).toBeGreaterThan(250);
});

test('a strategy of its own for one operation, remembered; the decisions of each are counted', () => {
  const core = new TestCore();
  const out = core.give({ kind: 'route', to: caller, strategy: 'first_available', operation: 'scan' });
  expect(recordsOf(out)).toEqual([
    { kind: 'setting', namespace: 'default', key: 'routing.strategy.scan', value: 'first_available' },
  ]);
  expect(core.state.strategy).toBe('least_loaded');
  for (const name of ['A', 'B']) core.join(name, { ...offering('scan hash'), max_concurrent_tasks: 9 });
  expect(went(core, 3)).toBe('AAA');
  expect(assigned(core.submit(specOf('h', { operation: 'hash' })))).toEqual(['h>B']);
  expect(core.state.decisions).toEqual(
    new Map([
      ['first_available', 3],
      ['least_loaded', 1],
    ]),
  );
});

describe('a plan that does not fit', () => {
  const dropped = (core: TestCore): number => core.state.plansDropped;

  test('is carried out when it does', () => {
    withPlacement(
      { plan: ({ tasks }) => tasks.map(({ task, candidates }) => ({ task, collector: candidates[1]! })) },
      (core) => {
        core.join('A');
        core.join('B');
        expect(went(core, 1)).toBe('B');
        expect(dropped(core)).toBe(0);
        expect(core.state.decisions.get('planted')).toBe(1);
      },
    );
  });

  test('nothing planned: the first candidate gets the task', () => {
    withPlacement({}, (core) => {
      core.join('B');
      core.join('A');
      expect(went(core, 3)).toBe('AB');
      expect(dropped(core)).toBe(0);
    });
  });

  test('a collector that cannot take it: dropped, counted, and somebody gets it', () => {
    const core = new TestCore();
    core.join('X', offering('other'));
    const other = core.state.collectors.get('X')!;
    withPlacement({ plan: ({ tasks }) => [{ task: tasks[0]!.task, collector: other }] }, (core) => {
      core.join('A', { max_concurrent_tasks: 9 });
      expect(went(core, 2)).toBe('AA');
      expect(dropped(core)).toBe(2);
    });
  });

  test('a collector that has gone', () => {
    const gone = new TestCore();
    gone.join('A');
    const old = gone.state.collectors.get('A')!;
    withPlacement({ plan: ({ tasks }) => [{ task: tasks[0]!.task, collector: old }] }, (core) => {
      core.join('A');
      expect(went(core, 1)).toBe('A');
      expect(old.tasks.size).toBe(0);
      expect(dropped(core)).toBe(1);
    });
  });

  test('one task for two: the second is dropped', () => {
    const plan: Placement['plan'] = ({ tasks }) =>
      tasks[0]!.candidates.map((collector) => ({ task: tasks[0]!.task, collector }));
    withPlacement({ plan }, (core) => {
      core.join('A');
      core.join('B');
      expect(went(core, 1)).toBe('A');
      expect(dropped(core)).toBe(1);
    });
  });

  test('a task that is not there any more', () => {
    const old = new TestCore();
    old.submit(specOf('t1'));
    const task = old.task('t1');
    const plan: Placement['plan'] = ({ tasks }) => [{ task, collector: tasks[0]!.candidates[0]! }];
    withPlacement({ plan }, (core) => {
      core.join('A');
      expect(assigned(core.submit(specOf('t2')))).toEqual(['t2>A']);
      expect(dropped(core)).toBe(1);
      old.cancel('t1');
      core.complete('t2');
      expect(assigned(core.submit(specOf('t3')))).toEqual(['t3>A']);
      expect(dropped(core)).toBe(2);
    });
  });

  test('the credit goes to another task: nobody gets more than its limit', () => {
    let low: Task | undefined;
    const plan: Placement['plan'] = ({ tasks }) => [{ task: low!, collector: tasks[0]!.candidates[0]! }];
    withPlacement({ plan }, (core) => {
      core.submit(specOf('low', { priority: 1 }), specOf('high', { priority: 9 }));
      low = core.task('low');
      expect(assigned(core.join('A'))).toEqual(['low>A']);
      expect(core.held()).toEqual({ A: ['low'] });
      expect(dropped(core)).toBe(0);
      expect(assigned(core.complete('low'))).toEqual(['high>A']);
      expect(dropped(core)).toBe(1);
    });
  });
});

test('a placement sees the candidates of the task and learns how each attempt ended, and how long it ran', () => {
  const seen: AttemptResult[] = [];
  const problems: string[][] = [];
  const plan: Placement['plan'] = ({ tasks, memory }) => {
    problems.push(tasks.flatMap(({ task, candidates }) => [task.spec.id, ...candidates.map(({ id }) => id)]));
    memory.lastId = 'seen';
    return [];
  };
  const learn: NonNullable<Placement['learn']> = (memory, result) => {
    expect(memory.lastId).toBe('seen');
    seen.push(result);
  };
  withPlacement({ plan, learn }, (core) => {
    core.nowMs = 1000;
    core.join('B', { max_concurrent_tasks: 9 });
    core.join('A', { max_concurrent_tasks: 9, status: 'degraded' });
    core.submit(...specsOf(['t1', 't2', 't3', 't4'], { timeoutMs: 2000 }));
    core.join('C', { max_concurrent_tasks: 9 });
    core.submit(specOf('t5'));
    core.nowMs = 1250;
    core.complete('t1');
    core.nowMs = 1500;
    core.fail('t2', { retry_after_ms: 90_000 });
    core.fail('t3', { next: 'give_up' });
    core.nowMs = 1750;
    core.close('B');
  });
  expect(problems.slice(0, 5)).toEqual([
    ['t1', 'B'],
    ['t2', 'B'],
    ['t3', 'B'],
    ['t4', 'B'],
    ['t5', 'B', 'C'],
  ]);
  expect(seen).toEqual([
    { collectorId: 'B', outcome: 'completed', ranMs: 250 },
    { collectorId: 'B', outcome: 'failed', ranMs: 500 },
    { collectorId: 'B', outcome: 'gave_up', ranMs: 500 },
    { collectorId: 'B', outcome: 'connection_lost', ranMs: 750 },
    { collectorId: 'B', outcome: 'connection_lost', ranMs: 750 },
  ]);
});

test('whoever placed an attempt learns from it, whatever places the next one', () => {
  const learnt: string[] = [];
  const learn: Placement['learn'] = (_memory, { outcome }) => void learnt.push(outcome);
  withPlacement({ learn }, (core) => {
    core.join('A');
    core.submit(specOf('t1'));
    routed('least_loaded', core);
    core.fail('t1', { next: 'elsewhere' });
    expect(learnt).toEqual(['failed']);
    core.submit(specOf('t2'));
    routed('planted', core);
    core.complete('t2');
    expect(learnt).toEqual(['failed']);
  });
});

test('of an attempt from before a restart nobody learns', () => {
  const learn = vi.fn<NonNullable<Placement['learn']>>();
  withPlacement({ learn }, (core) => {
    const stored = storedOf(1, 't1', { state: 'in_progress', attempt: 1, token: '1.1', collectorId: 'A' });
    const kept = {
      tasks: [stored],
      settings: new Map(),
      nextSeq: 2,
      expiredBeforeMs: 0,
      newestId: undefined,
      idsAhead: [],
    };
    recover(core.state, kept, core.now);
    core.join('A', { leases: [{ task_id: 't1', token: '1.1' }] });
    expect(core.held()).toEqual({ A: ['t1'] });
    core.complete('t1');
    expect(learn).not.toHaveBeenCalled();
  });
});
