/** That what the core does for one input does not grow with what is there. */
import { expect, test } from 'vitest';
import type { Input } from '../../src/core/input.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import { caller, named, offering, specOf, specsOf, TestCore } from './harness.ts';
import { workOf } from './work.ts';

const many = { operationsMax: 1_000_000, pendingMax: 1_000_000 };
const submitting = (core: TestCore, specs: readonly TaskSpec[]): number => {
  const quiet = core.quiet();
  return workOf(() => {
    for (const spec of specs) quiet({ kind: 'submit', to: caller, specs: [spec], batch: false });
  });
};
/** Specs that differ in one thing, each in a class of its own. */
const distinct: readonly [string, (at: number) => Partial<TaskSpec>][] = [
  ['operations', (at) => ({ operation: `o${at}` })],
  ['labels', (at) => ({ labels: { zone: `z${at}` } })],
  ['requirements', (at) => ({ requires: [`r${at}`] })],
  ['pins', (at) => ({ collectorId: `c${at}` })],
  ['types', (at) => ({ collectorType: `c${at}` })],
];

test.each(distinct)('distinct %s: each costs the same, however many there are', (_name, change) => {
  const core = new TestCore(many);
  core.join('A', { status: 'stopped' });
  const specs = named(3000).map((id, at) => specOf(id, change(at)));
  const first = submitting(core, specs.slice(0, 500));
  submitting(core, specs.slice(500, 2500));
  expect(submitting(core, specs.slice(2500))).toBeLessThan(first * 1.2);
});

test('100,000 distinct operations, and all of them cancelled', () => {
  const core = new TestCore(many);
  const quiet = core.quiet();
  const give = (from: number, to: number) => {
    for (let at = from; at < to; at++)
      quiet({ kind: 'submit', to: caller, specs: [specOf(`t${at}`, { operation: `o${at}` })], batch: false });
  };
  const cancel = (at: number) => quiet({ kind: 'cancel', to: caller, id: `t${at}`, reason: '' });
  const first = workOf(() => give(0, 100));
  give(100, 99_900);
  expect(workOf(() => give(99_900, 100_000))).toBeLessThan(first * 1.2);
  expect(core.state.operations.byName.size).toBe(100_000);
  const one = workOf(() => cancel(0));
  for (let at = 1; at < 99_999; at++) cancel(at);
  expect(workOf(() => cancel(99_999))).toBeLessThan(one * 1.2);
  expect(core.state.tasks.size).toBe(0);
  expect(core.state.classes.byKey.size).toBe(core.state.limits.classesMax);
});

/** What it costs a collector with one task in hand and `classes` classes to be given its next one. */
const next = (classes: number): number => {
  const core = new TestCore({ ...many, heartbeatMs: 1e9, leaseMs: 1e9 });
  const quiet = core.quiet();
  core.join('A', { capabilities: named(classes, 'r') });
  for (let at = 0; at < classes; at++)
    quiet({ kind: 'submit', to: caller, specs: [specOf(`t${at}`, { requires: [`r${at}`] })], batch: false });
  const complete = (id: string): void => {
    const { session } = core.state.collectors.get('A')!;
    quiet({ kind: 'complete', to: { session, id: 1 }, taskId: id, token: core.task(id).token, result: undefined });
  };
  const tens = workOf(() => {
    for (let at = 0; at < 10; at++) complete(`t${at}`);
  });
  expect(core.held()).toEqual({ A: ['t10'] });
  return tens / 10;
};

test('a collector with 20,000 classes finds its next task in a few steps more than one with 200', () => {
  const [few, lots] = [next(200), next(20_000)];
  // A heap is log₂ 100 = 7 levels higher; each level costs some comparisons and moves of places.
  expect(lots).toBeLessThan(few + 7 * 20);
});

test('a class with 20,000 tasks, too', () => {
  const cost = (tasks: number): number => {
    const core = new TestCore(many);
    core.join('A');
    core.quiet()({ kind: 'submit', to: caller, specs: specsOf(named(tasks)), batch: true });
    const { token } = core.task('t0');
    const input: Input = { kind: 'complete', to: { session: 1, id: 1 }, taskId: 't0', token, result: undefined };
    return workOf(() => core.quiet()(input));
  };
  expect(cost(20_000)).toBeLessThan(cost(200) + 7 * 20);
});

test('20,000 tasks that nobody can take do not stand in the way of the one that somebody can', () => {
  const cost = (others: number): number => {
    const core = new TestCore(many);
    core.join('A', offering('other'));
    const dreams = named(others).map((id, at) => specOf(id, { operation: `dream${at}`, priority: 255 }));
    core.quiet()({ kind: 'submit', to: caller, specs: dreams, batch: true });
    const input: Input = { kind: 'submit', to: caller, specs: [specOf('x', { operation: 'other' })], batch: false };
    const work = workOf(() => core.quiet()(input));
    expect(core.held()).toEqual({ A: ['x'] });
    return work;
  };
  expect(cost(20_000)).toBeLessThan(cost(20) * 1.2);
});

test('many tasks in one step cost each no more than one by one', () => {
  const cost = (give: (core: TestCore) => void): number => {
    const core = new TestCore();
    for (const name of named(50, 'c')) core.join(name, { max_concurrent_tasks: 2 });
    const work = workOf(() => give(core));
    expect(core.state.operations).toMatchObject({ inProgress: 100, waiting: 0 });
    return work;
  };
  const specs = specsOf(named(100));
  const single = cost((core) => {
    for (const spec of specs) core.quiet()({ kind: 'submit', to: caller, specs: [spec], batch: false });
  });
  const together = cost((core) => core.quiet()({ kind: 'submit', to: caller, specs, batch: true }));
  expect(together).toBeLessThan(single * 1.1);
});

test('cancelling a task that waits looks at no collector', () => {
  const cost = (collectors: number): number => {
    const core = new TestCore();
    for (const name of named(collectors, 'c')) core.join(name, { status: 'stopped' });
    core.submit(...specsOf(['t1', 't2']));
    return workOf(() => core.quiet()({ kind: 'cancel', to: caller, id: 't1', reason: '' }));
  };
  // Not one call for each of the 49 more; the engine itself may count a call twice when it gives up optimised code.
  expect(cost(50)).toBeLessThan(cost(1) + 10);
});
