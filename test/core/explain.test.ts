import { describe, expect, test } from 'vitest';
import { whyStuck, whyWaiting } from '../../src/core/explain.ts';
import { caller, offering, specOf, specsOf, TestCore } from './harness.ts';

const why = (core: TestCore, id = 't1') => whyWaiting(core.state, core.task(id));

describe('nobody could ever do it', () => {
  test.each<[string, (core: TestCore) => void, string]>([
    ['no collector', () => {}, 'No collector is registered.'],
    [
      'one that does something else',
      (core) => void core.join('A', offering('other')),
      'The one registered collector does not offer the operation.',
    ],
    [
      'several that do',
      (core) => ['A', 'B', 'C'].forEach((name) => void core.join(name, offering('other'))),
      'None of the 3 registered collectors offers the operation.',
    ],
    [
      'those that offer it are named with their reasons, others are not',
      (core) => {
        core.join('A', offering('other'));
        core.join('B', { collector_type: 'flat' });
        core.join('C', { collector_type: 'deep' });
        core.join('D', { collector_type: 'deep', capabilities: ['gpu', 'net'], labels: { zone: 'b' } });
      },
      'B is of type flat, not deep; C lacks the capability gpu; D has the label zone=b, not zone=a.',
    ],
    [
      'more than three are not all named',
      (core) => ['A', 'B', 'C', 'D'].forEach((name) => void core.join(name, { collector_type: 'flat' })),
      'A is of type flat, not deep; B is of type flat, not deep; C is of type flat, not deep; and others.',
    ],
    [
      'the level is not accepted',
      (core) =>
        void core.join('A', {
          collector_type: 'deep',
          capabilities: ['gpu', 'net'],
          labels: { zone: 'a' },
          priority_levels: [[0, 99]],
        }),
      'A does not accept priority 100.',
    ],
  ])('%s', (_name, given, reasons) => {
    const core = new TestCore();
    given(core);
    core.submit(specOf('t1', { collectorType: 'deep', requires: ['gpu', 'net'], labels: { zone: 'a' } }));
    const demand = 'operation scan, type deep, capability gpu, capability net, label zone=a';
    const reason = {
      code: 'no_capable_collector',
      message: `No registered collector can do this (${demand}). ${reasons} The task waits for one.`,
    };
    expect(whyStuck(core.state, core.task('t1'))).toEqual(reason);
    expect(why(core)).toEqual(reason);
  });

  test('exactly three are all named', () => {
    const core = new TestCore();
    for (const name of ['A', 'B', 'C']) core.join(name);
    core.submit(specOf('t1', { collectorId: 'X' }));
    expect(why(core)?.message).toBe(
      'No registered collector can do this (operation scan, collector X). A is not the pinned collector X; ' +
        'B is not the pinned collector X; C is not the pinned collector X. The task waits for one.',
    );
  });

  test('every collector is excluded', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('t1'));
    core.fail('t1', { next: 'elsewhere' });
    expect(why(core)).toEqual({
      code: 'no_capable_collector',
      message:
        'No registered collector can do this (operation scan). A asked not to get it again. The task waits for one.',
    });
  });
});

describe('somebody can, but not now', () => {
  test('no credit', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 2 });
    core.join('B', offering('other'));
    core.submit(...specsOf(['t1', 't2', 't3']));
    expect(why(core, 't3')).toEqual({ code: 'no_credit', message: 'A holds 2 tasks, its limit.' });
    expect(whyStuck(core.state, core.task('t3'))).toBeUndefined();
  });

  test('those that could are named, also with what stands in their way; the others are not', () => {
    const core = new TestCore();
    core.join('A', { status: 'stopped', status_reason: 'by hand' });
    core.join('B');
    core.join('C', { status: 'degraded' });
    core.join('D', { priority_levels: [[0, 10]] });
    core.submit(...specsOf(['t1', 't2', 't3']));
    expect(why(core, 't3')).toEqual({
      code: 'no_credit',
      message: 'A is stopped (by hand); B holds 1 task, its limit; C holds 1 task, its limit.',
    });
  });

  test('unread bytes', () => {
    const core = new TestCore({ outboundBytesMax: 0 });
    core.join('A', { max_concurrent_tasks: 9 });
    core.submit(...specsOf(['t1', 't2']));
    expect(why(core, 't2')).toEqual({ code: 'no_credit', message: 'A has not read the tasks that were sent to it.' });
  });

  test('nobody is healthy', () => {
    const core = new TestCore();
    core.join('A', { status: 'stopped' });
    core.join('B');
    core.leave('B');
    core.join('C', { status: 'stopped' });
    core.submit(specOf('t1'));
    expect(why(core)).toEqual({ code: 'no_healthy_collector', message: 'A is stopped; C is stopped.' });
    core.join('D', { status: 'degraded' });
    core.submit(specOf('t2'));
    expect(why(core, 't2')?.code).toBe('no_credit');
  });

  test('seen between two inputs: one is about to take it', () => {
    const core = new TestCore();
    core.submit(specOf('t1'));
    core.join('A', { status: 'stopped' });
    core.state.collectors.get('A')!.status = 'healthy';
    expect(why(core)).toEqual({ code: 'no_credit', message: 'A is about to take a task.' });
  });

  test('the broker is stopping', () => {
    const core = new TestCore();
    core.submit(specOf('t1'));
    core.give({ kind: 'stop' });
    expect(why(core)).toEqual({ code: 'stopping', message: 'The broker is stopping and hands out no task.' });
  });
});

test('a task that does not wait for a collector has no reason', () => {
  const core = new TestCore();
  core.join('A');
  core.submit(specOf('t1'));
  expect(why(core)).toBeUndefined();
  core.fail('t1', { retry_after_ms: 1000 });
  expect(why(core)).toBeUndefined();
  core.give({ kind: 'stop' });
  expect(why(core)).toBeUndefined();
});

test('read between two inputs', () => {
  const core = new TestCore();
  core.submit(specOf('t1'));
  const read = core.give({ kind: 'read', to: caller, read: (state) => ({ result: state.tasks.size }) });
  expect(read).toEqual([{ kind: 'reply', to: caller, outcome: { result: 1 } }]);
});
