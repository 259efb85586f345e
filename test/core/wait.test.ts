import { describe, expect, test, vi } from 'vitest';
import type { Output } from '../../src/core/input.ts';
import { step } from '../../src/core/step.ts';
import { faultOf, named, specOf, specsOf, TestCore } from './harness.ts';
import { workOf } from './work.ts';

const wait = (core: TestCore, id: string, session: number, request: number, timeoutMs = 60_000): Output[] =>
  core.give({ kind: 'wait', to: { session, id: request }, id, include: ['result'], timeoutMs });
const cancelWait = (core: TestCore, session: number, id: number): Output[] =>
  core.give({ kind: 'cancel_wait', to: { session, id } });
const ended = (id: string, session: number, request: number) => ({
  kind: 'ended',
  to: { session, id: request },
  id,
  include: ['result'],
});

test('everybody who waits is answered once when the task ends, in the order they came', () => {
  const core = new TestCore();
  core.join('A');
  core.submit(specOf('t1'));
  expect(wait(core, 't1', 5, 1)).toEqual([]);
  expect(wait(core, 't1', 6, 1)).toEqual([]);
  expect(wait(core, 't1', 5, 2)).toEqual([]);
  const answers = core.complete('t1').filter(({ kind }) => kind === 'ended');
  expect(answers).toEqual([ended('t1', 5, 1), ended('t1', 6, 1), ended('t1', 5, 2)]);
  expect(core.state.waits).toEqual({ byTask: new Map(), bySession: new Map(), count: 0 });
  expect(core.until(100_000).filter(({ kind }) => kind === 'reply')).toEqual([]);
});

test('it ends as dead letter or cancelled: answered, too; a retry is no end', () => {
  const core = new TestCore();
  core.join('A');
  core.submit(...specsOf(['t1', 't2']));
  wait(core, 't1', 5, 1);
  wait(core, 't2', 5, 2);
  expect(core.cancel('t2')).toContainEqual(ended('t2', 5, 2));
  expect(core.fail('t1', { retry_after_ms: 10 }).filter(({ kind }) => kind === 'ended')).toEqual([]);
  core.until(10);
  expect(core.fail('t1', { next: 'give_up' })).toContainEqual(ended('t1', 5, 1));
});

test('a task that is not live is answered from the store at once', () => {
  const core = new TestCore();
  expect(wait(core, 'gone', 5, 1)).toEqual([ended('gone', 5, 1)]);
  expect(core.state.waits.count).toBe(0);
});

describe('its timeout', () => {
  test('answers the wait; the task goes on', () => {
    const core = new TestCore();
    core.submit(specOf('t1'));
    wait(core, 't1', 5, 1, 5000);
    expect(core.until(4999)).toEqual([]);
    const out = core.until(5000);
    expect(out).toMatchObject([{ kind: 'reply', to: { session: 5, id: 1 } }]);
    expect(faultOf(out)).toMatchObject({
      code: 'deadline_exceeded',
      message: 'Task t1 is still pending. It goes on; wait again, or look with: deye task show t1',
      context: { state: 'pending' },
    });
    expect(core.state.waits).toEqual({ byTask: new Map(), bySession: new Map(), count: 0 });
    expect(core.state.tasks.size).toBe(1);
  });

  test('is capped', () => {
    const core = new TestCore({ waitMsMax: 1000 });
    core.submit(specOf('t1'));
    wait(core, 't1', 5, 1, Number.MAX_SAFE_INTEGER);
    wait(core, 't1', 5, 2, 999);
    expect(core.state.deadlines.nextMs).toBe(999);
    core.until(999);
    expect(core.state.deadlines.nextMs).toBe(1000);
  });

  test('of nothing is an answer at once', () => {
    const core = new TestCore();
    core.submit(specOf('t1'));
    expect(faultOf(wait(core, 't1', 5, 1, 0)).code).toBe('deadline_exceeded');
  });
});

describe('limits', () => {
  test('of one session: exactly; others are not concerned; an ended wait makes room', () => {
    const core = new TestCore({ waitsMax: 2, waitsTotalMax: 9 });
    core.submit(specOf('t1'));
    for (const request of [1, 2]) expect(wait(core, 't1', 5, request)).toEqual([]);
    expect(faultOf(wait(core, 't1', 5, 3))).toMatchObject({
      code: 'too_many_waits',
      message: 'This session has 2 waits open, the limit. Wait again when some have ended.',
      context: { limit: 2, retry_after_ms: 1000 },
    });
    expect(wait(core, 't1', 6, 3)).toEqual([]);
    cancelWait(core, 5, 1);
    expect(wait(core, 't1', 5, 3)).toEqual([]);
    expect(core.state.waits.count).toBe(3);
  });

  test('of all together, also when it is the same number as that of one', () => {
    const core = new TestCore({ waitsMax: 3, waitsTotalMax: 3 });
    core.submit(specOf('t1'));
    for (const session of [5, 6, 7]) expect(wait(core, 't1', session, 1)).toEqual([]);
    expect(faultOf(wait(core, 't1', 5, 2))).toMatchObject({
      code: 'too_many_waits',
      message: 'All sessions together have 3 waits open, the limit. Wait again when some have ended.',
      context: { limit: 3 },
    });
    expect(faultOf(wait(core, 't1', 8, 1)).code).toBe('too_many_waits');
    expect(core.state.waits.count).toBe(3);
  });

  test('of all together, when it is smaller', () => {
    const core = new TestCore({ waitsMax: 3, waitsTotalMax: 2 });
    core.submit(specOf('t1'));
    for (const request of [1, 2]) wait(core, 't1', 5, request);
    expect(faultOf(wait(core, 't1', 5, 3)).context).toEqual({ limit: 2, retry_after_ms: 1000 });
  });

  test('a request id that waits already', () => {
    const core = new TestCore({ waitsMax: 1 });
    core.submit(...specsOf(['t1', 't2']));
    wait(core, 't1', 5, 1);
    expect(faultOf(wait(core, 't2', 5, 1))).toMatchObject({
      code: 'invalid_params',
      message: 'Request id 1 is in use by a wait.',
      context: { id: 1 },
    });
    expect(core.cancel('t1')).toContainEqual(ended('t1', 5, 1));
  });
});

describe('cancel_wait', () => {
  test('ends that wait and no other', () => {
    const core = new TestCore();
    core.submit(specOf('t1'));
    for (const request of [1, 2]) wait(core, 't1', 5, request);
    wait(core, 't1', 6, 1);
    const out = cancelWait(core, 5, 1);
    expect(out).toMatchObject([{ kind: 'reply', to: { session: 5, id: 1 } }]);
    expect(faultOf(out)).toMatchObject({ code: 'cancelled', message: 'The wait for task t1 was cancelled.' });
    expect(cancelWait(core, 5, 1)).toEqual([]);
    expect(cancelWait(core, 7, 1)).toEqual([]);
    expect(core.cancel('t1').filter(({ kind }) => kind === 'ended')).toEqual([ended('t1', 5, 2), ended('t1', 6, 1)]);
    expect(core.until(100_000)).toEqual([]);
  });

  test('looks through no other waits, however many there are', () => {
    const core = new TestCore({ waitsMax: 10_000 });
    core.submit(...specsOf(named(10)));
    const { waits } = core.state;
    const cost = (request: number): number => {
      const walks = [waits.byTask, waits.bySession, ...waits.byTask.values(), ...waits.bySession.values()].flatMap(
        (all) => [vi.spyOn(all, 'values'), vi.spyOn(all, 'forEach'), vi.spyOn(all, Symbol.iterator)],
      );
      const out: Output[] = [];
      const input = { kind: 'cancel_wait', to: { session: 5, id: request } } as const;
      const work = workOf(() => step(core.state, input, core.now, out));
      for (const walk of walks) {
        expect(walk).not.toHaveBeenCalled();
        walk.mockRestore();
      }
      return work;
    };
    const open = (from: number, to: number): void => {
      for (let request = from; request < to; request++) {
        const input = { kind: 'wait', to: { session: 5, id: request }, id: `t${request % 10}`, include: [] } as const;
        step(core.state, { ...input, timeoutMs: 60_000 - request }, core.now, []);
      }
    };
    open(0, 100);
    const [few, fewUnknown] = [cost(50), cost(1_000_000)];
    open(100, 10_000);
    // The deadline leaves its heap: no more than its height.
    expect(cost(5000)).toBeLessThan(few + 60);
    expect(cost(1_000_001)).toBe(fewUnknown);
    expect(waits.count).toBe(9998);
  });
});

test('a session that closes takes its waits along, and no others', () => {
  const core = new TestCore();
  core.submit(...specsOf(['t1', 't2']));
  for (const [at, id] of ['t1', 't1', 't2'].entries()) wait(core, id, 5, at);
  wait(core, 't1', 6, 0);
  expect(core.give({ kind: 'session_closed', session: 5 })).toEqual([]);
  expect([...core.state.waits.bySession.keys()]).toEqual([6]);
  expect([...core.state.waits.byTask.keys()]).toEqual(['t1']);
  expect(core.state.waits.count).toBe(1);
  expect(core.state.deadlines.size).toBe(1);
  expect(core.cancel('t1').filter(({ kind }) => kind === 'ended')).toEqual([ended('t1', 6, 0)]);
});
