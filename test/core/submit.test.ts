import { describe, expect, test } from 'vitest';
import { noFacts } from '../../src/core/prefetch.ts';
import { fault } from '../../src/protocol/fault.ts';
import {
  caller,
  faultOf,
  named,
  offering,
  outcomesOf,
  recordsOf,
  resultOf,
  specOf,
  specsOf,
  TestCore,
} from './harness.ts';
import { play } from './transcript.ts';

describe('submit', () => {
  test('the same id again adds nothing, waiting, running or ended', () => {
    play(`
      0s submit t1 scan
      → t1 pending at 0, nobody can
      0s submit t1 scan
      → t1 was there: pending
      0s A joins: scan
      → A joined
      → t1 to A (1)
      0s submit t1 scan
      → t1 was there: in_progress
      1s A completes t1#1
      → t1 completed
      1s submit t1 scan
      → t1 was there: completed
    `);
  });

  test('a full queue refuses, and takes again when there is room', () => {
    play(
      `
      0s submit t1+t2 scan
      → t1 pending at 0, nobody can, t2 pending at 1, nobody can
      0s submit t3 scan
      → refused: queue_full
      0s A joins: scan
      → A joined
      → t1 to A (1)
      0s submit t3 scan
      → t3 pending at 1
    `,
      { limits: { pendingMax: 2 } },
    );
  });

  test('cancel: waiting yes, running no, ended no', () => {
    play(`
      0s submit t1+t2 scan
      → t1 pending at 0, nobody can, t2 pending at 1, nobody can
      0s wait t1 for 60s
      1s cancel t1
      → t1 cancelled
      → waiter is answered: t1 ended
      1s cancel t1
      → refused: wrong_state
      1s cancel t9
      → refused: not_found
      2s A joins: scan
      → A joined
      → t2 to A (1)
      3s cancel t2
      → refused: wrong_state
    `);
  });

  test('a wait ends with its deadline; the task goes on', () => {
    const { state } = play(`
      0s submit t1 scan
      → t1 pending at 0, nobody can
      0s wait t1 for 5s
      5s tick
      → refused: deadline_exceeded
    `);
    expect(state.tasks.size).toBe(1);
    expect(state.waits.count).toBe(0);
  });

  test('while stopping nothing is handed out or taken', () => {
    play(`
      0s submit t1 scan
      → t1 pending at 0, nobody can
      0s stop
      1s A joins: scan
      → A joined
      1s submit t2 scan
      → refused: broker_stopping
    `);
  });
});

describe('the reply', () => {
  test('of a task that waits: its position, and a warning when nobody can do it', () => {
    const core = new TestCore();
    const message =
      'No registered collector can do this (operation scan). No collector is registered. The task waits for one.';
    expect(resultOf(core.submit(specOf('t1')))).toEqual({
      id: 't1',
      state: 'pending',
      position: 0,
      duplicate: false,
      warning: { code: 'no_capable_collector', message },
    });
    core.join('A');
    expect(resultOf(core.submit(specOf('t2')))).toEqual({ id: 't2', state: 'pending', position: 0, duplicate: false });
    expect(resultOf(core.submit(specOf('t3')))).not.toHaveProperty('warning');
  });

  test('of a task that is handed out at once, and of one that was there', () => {
    const core = new TestCore();
    core.join('A');
    const held = { id: 't1', state: 'in_progress', collector_id: 'A', duplicate: false };
    expect(resultOf(core.submit(specOf('t1')))).toEqual(held);
    expect(resultOf(core.submit(specOf('t1')))).toEqual({ id: 't1', state: 'in_progress', duplicate: true });
    expect(core.state.totals.submitted).toBe(1);
  });

  test('the position is that at the time of the reply: some of the batch are handed out, others go before', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 3 });
    const positions = (...specs: Parameters<TestCore['submit']>) =>
      outcomesOf(core.submit(...specs)).map((one) => (one as { position?: number }).position);
    expect(positions(...specsOf(['a', 'b', 'c', 'd', 'e']))).toEqual([undefined, undefined, undefined, 0, 1]);
    const [low, high] = [specOf('low', { priority: 1 }), specOf('high', { priority: 200 })];
    expect(positions(low, high, specOf('n1'), specOf('n2', { labels: { zone: 'a' } }), specOf('n3'))).toEqual([
      5, 0, 3, 0, 4,
    ]);
  });

  test('a batch of one has one outcome, too; a refused one keeps its place', () => {
    const core = new TestCore();
    const bad = fault('invalid_params', 'no');
    const give = (specs: Parameters<TestCore['submit']>, batch: boolean) =>
      core.give({ kind: 'submit', to: caller, specs, batch });
    expect(outcomesOf(give([specOf('t1')], true))).toMatchObject([{ id: 't1' }]);
    expect(outcomesOf(give([specOf('t2'), bad, specOf('t2')], true))).toMatchObject([
      { id: 't2', duplicate: false },
      { code: 'invalid_params' },
      { id: 't2', duplicate: true },
    ]);
    expect(faultOf(give([bad], false))).toBe(bad);
  });

  test('an id that only the store holds is a duplicate', () => {
    const core = new TestCore();
    const facts = { ...noFacts, ended: new Map([['t1', 'dead_letter' as const]]) };
    const out = core.give({ kind: 'submit', to: caller, specs: [specOf('t1')], batch: false }, facts);
    expect(resultOf(out)).toEqual({ id: 't1', state: 'dead_letter', duplicate: true });
    expect(recordsOf(out)).toEqual([]);
  });

  test('a duplicate is one while stopping and with a full queue, too', () => {
    const core = new TestCore({ pendingMax: 1 });
    core.submit(specOf('t1'));
    expect(resultOf(core.submit(specOf('t1')))).toMatchObject({ duplicate: true });
    core.give({ kind: 'stop' });
    expect(resultOf(core.submit(specOf('t1')))).toMatchObject({ duplicate: true });
    expect(faultOf(core.submit(specOf('t2')))).toMatchObject({
      code: 'broker_stopping',
      context: { retry_after_ms: 1000 },
    });
  });
});

describe('refused', () => {
  test('too many wait, exactly at the limit, also in one batch; those in progress do not count', () => {
    const core = new TestCore({ pendingMax: 3 });
    core.join('A', { max_concurrent_tasks: 2 });
    core.submit(...specsOf(['a', 'b']));
    const outcomes = outcomesOf(core.submit(...specsOf(named(5))));
    expect(outcomes.map((one) => (one as { code?: string }).code)).toEqual([
      ...Array(3).fill(undefined),
      ...Array(2).fill('queue_full'),
    ]);
    expect(outcomes[3]).toMatchObject({
      message: '3 tasks wait already; the limit is 3. Submit again when some are done.',
      retry: true,
      context: { retry_after_ms: 1000, limit: 3 },
    });
    expect(core.state.tasks.size).toBe(5);
    core.fail('a', { retry_after_ms: 60_000 });
    expect(faultOf(core.submit(specOf('more')))).toMatchObject({ code: 'queue_full' });
    core.cancel('t1');
    expect(resultOf(core.submit(specOf('more')))).toMatchObject({ state: 'pending' });
  });

  test('too many bytes wait; one task of any size is taken when none waits', () => {
    const core = new TestCore({ pendingBytesMax: 100 });
    const sized = (id: string, bytes: number) => specOf(id, { payload: new Uint8Array(bytes) });
    expect(resultOf(core.submit(sized('big', 101)))).toMatchObject({ state: 'pending' });
    expect(faultOf(core.submit(sized('t1', 0)))).toMatchObject({
      code: 'queue_full',
      message: 'Payloads of 101 bytes wait already; the limit is 100. Submit again when some are done.',
      context: { retry_after_ms: 1000, limit_bytes: 100 },
    });
    core.cancel('big');
    const outcomes = outcomesOf(core.submit(sized('t1', 60), sized('t2', 40), sized('t3', 1)));
    expect(outcomes).toMatchObject([{ state: 'pending' }, { state: 'pending' }, { code: 'queue_full' }]);
    expect(core.state.operations.waitingBytes).toBe(100);
  });

  test('one operation too many', () => {
    const core = new TestCore({ operationsMax: 1 });
    core.submit(specOf('t1'));
    expect(faultOf(core.submit(specOf('t2', { operation: 'other' })))).toMatchObject({
      code: 'too_many_operations',
      message: '1 operations have tasks already, the limit. Put what varies into the payload.',
      context: { retry_after_ms: 1000, limit: 1 },
    });
  });
});

describe('cancel', () => {
  test('a waiting task: its record, its reply, its place', () => {
    const core = new TestCore({ wallMs: 7000 });
    core.submit(...specsOf(['t1', 't2']));
    const out = core.cancel('t1', 'not needed');
    const spec = specOf('t1');
    const record = { kind: 'moved', seq: 1, state: 'cancelled', attempt: 0, token: '', atMs: 7000, excluded: [] };
    const error = { code: 'cancelled', message: 'not needed' };
    const nothing = { collectorId: undefined, readyAtMs: undefined, delayMs: undefined, result: undefined };
    expect(out).toEqual([
      { kind: 'record', record: { ...record, ...nothing, error } },
      { kind: 'task_moved', spec, state: 'cancelled', attempt: 0, collectorId: undefined },
      { kind: 'reply', to: caller, outcome: { result: { id: 't1', state: 'cancelled' } } },
    ]);
    expect(core.state.totals.cancelled).toBe(1);
    expect(core.state.tasks.size).toBe(1);
    expect(recordsOf(core.cancel('t2'))).toMatchObject([{ error: { message: 'cancelled by a caller' } }]);
  });

  test('a retrying task is never handed out again', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('t1'));
    core.fail('t1', { retry_after_ms: 1000 });
    expect(resultOf(core.cancel('t1'))).toMatchObject({ state: 'cancelled' });
    expect(core.until(5000)).toEqual([]);
    expect(core.state.operations).toMatchObject({ waiting: 0, waitingBytes: 0 });
  });

  test('refused: in progress, ended, unknown', () => {
    const core = new TestCore();
    core.join('A', offering('scan'));
    core.submit(specOf('t1'));
    expect(faultOf(core.cancel('t1'))).toMatchObject({
      code: 'wrong_state',
      message: 'Task t1 is in progress at A; only a waiting task can be cancelled.',
      context: { state: 'in_progress' },
    });
    core.complete('t1');
    expect(faultOf(core.cancel('t1'))).toMatchObject({
      code: 'wrong_state',
      message: 'Task t1 is already completed.',
      context: { state: 'completed' },
    });
    expect(faultOf(core.cancel('t9'))).toMatchObject({
      code: 'not_found',
      message: 'No task t9 is waiting or in progress. See: deye task ls',
      context: { id: 't9' },
    });
  });
});
