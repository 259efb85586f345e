import { describe, expect, test } from 'vitest';
import { newOperations, operationOf, operationsFull, tierOf } from '../../src/core/operation.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { caller, faultOf, named, outcomesOf, resultOf, specOf, specsOf, TestCore } from './harness.ts';

const route = (core: TestCore, operation: string, strategy = 'random') =>
  core.give({ kind: 'route', to: caller, strategy, operation });
const of = (core: TestCore, operation: string) => specOf(`${operation}-${core.state.nextSeq}`, { operation });
const codes = (outcomes: readonly unknown[]) => outcomes.map((one) => (one as { code?: string }).code);

describe('gauges', () => {
  test.each([
    [0, 'low'],
    [99, 'low'],
    [100, 'normal'],
    [199, 'normal'],
    [200, 'high'],
    [255, 'high'],
  ])('priority %i is %s', (priority, tier) => {
    expect(tierOf(priority)).toBe(tier);
    const core = new TestCore();
    core.submit(specOf('t1', { priority }));
    expect(core.state.operations.byName.get('scan')).toMatchObject({ high: 0, normal: 0, low: 0, [tier]: 1 });
    core.join('A');
    expect(core.state.operations.byName.get('scan')).toMatchObject({ [tier]: 0, inProgress: 1 });
  });

  test('follow a task through its life, in its operation and in all', () => {
    const core = new TestCore();
    const gauges = () => {
      const { high, normal, low, retrying, inProgress, completed, failed, deadLetter } =
        core.state.operations.byName.get('scan')!;
      const { waiting, waitingBytes } = core.state.operations;
      return [high + normal + low, retrying, inProgress, waiting, waitingBytes, completed, failed, deadLetter].join(
        ' ',
      );
    };
    core.submit(...specsOf(['t1', 't2'], { payload: new Uint8Array(10) }), of(core, 'other'));
    expect(gauges()).toBe('2 0 0 3 21 0 0 0');
    core.join('A');
    expect(gauges()).toBe('1 0 1 2 11 0 0 0');
    core.fail('t1', { retry_after_ms: 1000 });
    expect(gauges()).toBe('0 1 1 2 11 0 1 0');
    core.until(1000);
    expect(gauges()).toBe('1 0 1 2 11 0 1 0');
    core.complete('t2');
    expect(gauges()).toBe('0 0 1 1 1 1 1 0');
    core.fail('t1', { next: 'give_up' });
    expect(gauges()).toBe('0 0 0 1 1 1 2 1');
    expect(core.state.operations.inProgress).toBe(0);
  });
});

describe('idle', () => {
  test('while it has no live task and no strategy of its own, the longest idle first', () => {
    const core = new TestCore();
    const idle = () => [...core.state.operations.idle].map(({ name }) => name).join(' ');
    core.submit(of(core, 'a'), of(core, 'b'), of(core, 'c'));
    expect(idle()).toBe('');
    core.cancel('b-1');
    core.cancel('a-1');
    expect(idle()).toBe('b a');
    core.submit(of(core, 'b'));
    expect(idle()).toBe('a');
    route(core, 'a');
    expect(idle()).toBe('');
    core.cancel('b-4');
    expect(idle()).toBe('b');
    route(core, 'd');
    expect(core.state.operations.byName.has('d')).toBe(true);
    expect(idle()).toBe('b');
  });

  test('one in progress or retrying is not idle', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('t1'));
    expect(core.state.operations.idle.size).toBe(0);
    core.fail('t1', { retry_after_ms: 1000 });
    expect(core.state.operations.idle.size).toBe(0);
    core.cancel('t1');
    expect(core.state.operations.idle.size).toBe(1);
  });
});

describe('the limit', () => {
  test('counts operations with tasks or strategies, not idle ones', () => {
    const limits = { ...defaultLimits, operationsMax: 2 };
    const operations = newOperations();
    const full = (name: string) => operationsFull(operations, name, limits);
    const [a, b] = [operationOf(operations, 'a'), operationOf(operations, 'b')];
    expect(operationOf(operations, 'a')).toBe(a);
    expect([full('a'), full('c')]).toEqual([false, false]);
    operations.idle.delete(a);
    expect([full('a'), full('b'), full('c')]).toEqual([false, false, false]);
    operations.idle.delete(b);
    expect([full('a'), full('b'), full('c')]).toEqual([false, false, true]);
    operationOf(operations, 'c');
    expect(full('c')).toBe(true);
  });

  test('refuses exactly at the limit, also in one batch; a known operation goes on', () => {
    const core = new TestCore({ operationsMax: 3 });
    const specs = named(5, 'op').map((operation) => specOf(`t-${operation}`, { operation }));
    const more = specOf('t-more', { operation: 'op0' });
    expect(codes(outcomesOf(core.submit(...specs, more)))).toEqual([
      undefined,
      undefined,
      undefined,
      'too_many_operations',
      'too_many_operations',
      undefined,
    ]);
    expect(core.state.operations.byName.size).toBe(3);
    expect(faultOf(route(core, 'op9'))).toMatchObject({
      code: 'too_many_operations',
      message:
        '3 operations have tasks or settings already, the limit. Set "default" for one to free its place. Put what varies into the payload.',
      context: { limit: 3 },
    });
    expect(resultOf(route(core, 'op1'))).toBeDefined();
    core.cancel('t-op2');
    expect(resultOf(core.submit(specOf('t-op9', { operation: 'op9' })))).toMatchObject({ state: 'pending' });
    expect([...core.state.operations.byName.keys()]).toEqual(['op0', 'op1', 'op9']);
    expect(faultOf(core.submit(specOf('t-op2b', { operation: 'op2' }))).code).toBe('too_many_operations');
  });

  test('an idle one is taken up again without being one too many', () => {
    const core = new TestCore({ operationsMax: 1 });
    core.submit(specOf('t1'));
    core.cancel('t1');
    expect(resultOf(core.submit(specOf('t2')))).toMatchObject({ state: 'pending' });
  });
});

describe('pruning', () => {
  test('drops the longest idle operations beyond the limit, with their classes', () => {
    const core = new TestCore({ operationsMax: 2 });
    for (const name of ['a', 'b', 'c']) {
      core.submit(specOf(`${name}1`, { operation: name }), specOf(`${name}2`, { operation: name, labels: { x: '1' } }));
      core.cancel(`${name}1`);
      core.cancel(`${name}2`);
    }
    expect([...core.state.operations.byName.keys()]).toEqual(['b', 'c']);
    expect(core.state.operations.idle.size).toBe(2);
    expect([...core.state.classes.byKey.values()].map(({ operation }) => operation.name)).toEqual(['b', 'b', 'c', 'c']);
    expect(core.state.classes.empty.size).toBe(4);
  });

  test('never one with tasks or a strategy; what is dropped begins anew', () => {
    const core = new TestCore({ operationsMax: 2 });
    core.join('A');
    core.submit(specOf('t1'));
    core.complete('t1');
    expect(core.state.operations.byName.get('scan')).toMatchObject({ completed: 1 });
    route(core, 'x');
    core.submit(of(core, 'y'));
    expect([...core.state.operations.byName.keys()]).toEqual(['x', 'y']);
    expect(core.state.operations.byName.has('scan')).toBe(false);
    core.cancel('y-2');
    core.submit(specOf('t2'));
    expect(core.state.operations.byName.get('scan')).toMatchObject({ completed: 0, inProgress: 1 });
  });

  test('empty classes beyond their limit go, the longest empty first; their pairings, too', () => {
    const core = new TestCore({ classesMax: 2 });
    core.join('A', { labels: { x: '2' }, status: 'stopped' });
    const labels = ['1', '2', '3', '4'].map((x) => ({ x }));
    core.submit(...labels.map((label, at) => specOf(`t${at}`, { labels: label })));
    const classes = () => [...core.state.classes.byKey.values()].map(({ labels: { x } }) => x).join('');
    for (const id of ['t2', 't0']) core.cancel(id);
    expect(classes()).toBe('1234');
    core.cancel('t3');
    expect(classes()).toBe('124');
    core.cancel('t1');
    expect(classes()).toBe('24');
    expect(core.state.collectors.get('A')?.pairings.size).toBe(1);
    expect(core.state.operations.byName.get('scan')?.classes.size).toBe(2);
    core.submit(specOf('again', { labels: { x: '2' } }));
    core.submit(specOf('more', { labels: { x: '9' } }));
    core.cancel('more');
    expect(classes()).toBe('249');
  });

  test('50,000 operations, each cancelled at once, leave no more than the limit', () => {
    const core = new TestCore({ operationsMax: 100, classesMax: 10 });
    const quiet = core.quiet();
    for (let at = 0; at < 50_000; at++) {
      quiet({ kind: 'submit', to: caller, specs: [specOf(`t${at}`, { operation: `o${at}` })], batch: false });
      quiet({ kind: 'cancel', to: caller, id: `t${at}`, reason: '' });
    }
    expect(core.state.operations.byName.size).toBe(100);
    expect(core.state.classes.byKey.size).toBe(10);
  });
});
