import { describe, expect, test } from 'vitest';
import { assigned, attemptsOf, faultOf, recordsOf, resultOf, specOf, specsOf, TestCore } from './harness.ts';
import { play } from './transcript.ts';

describe('an attempt ends', () => {
  test('completing twice frees one slot; a stale answer changes nothing', () => {
    const { state } = play(`
      0s A joins: scan credit 2
      → A joined
      0s submit t1+t2+t3 scan
      → t1 to A (1)
      → t2 to A (1)
      → t1 in_progress, t2 in_progress, t3 pending at 0
      1s A completes t1#1
      → t1 completed
      → t3 to A (1)
      1s A completes t1#1
      → refused: stale_lease
      1s A completes t2#9
      → refused: stale_lease
    `);
    expect(state.collectors.get('A')?.tasks.size).toBe(2);
  });

  test('somebody else cannot end it', () => {
    play(`
      0s A joins: scan
      → A joined
      0s B joins: other
      → B joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      1s B completes t1#1
      → refused: stale_lease
    `);
  });

  test('failed: retried after its backoff, at most max_retries times, then dead', () => {
    const { records } = play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan retries 2
      → t1 to A (1)
      → t1 in_progress
      1s A fails t1#1 retry after 4s
      → t1 retrying
      4.9s tick
      5s tick
      → t1 to A (2)
      6s A fails t1#2 retry after 1s
      → t1 retrying
      7s tick
      → t1 to A (3)
      8s A fails t1#3
      → t1 dead_letter
      9s A completes t1#3
      → refused: stale_lease
    `);
    const attempts = records.filter((record) => record.kind === 'attempt');
    expect(attempts.map(({ attempt, outcome, error }) => [attempt, outcome, error?.code])).toEqual(
      [1, 2, 3].map((at) => [at, 'failed', 'oops']),
    );
  });

  test('a handler can give up, or want another collector', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      1s A fails t1#1 give_up
      → t1 dead_letter
      2s submit t2 scan
      → t2 to A (1)
      → t2 in_progress
      3s A fails t2#1 elsewhere
      4s B joins: scan
      → B joined
      → t2 to B (2)
    `);
  });

  test('over its time: cancelled, and failed after the grace; a draining collector is gone with it', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan timeout 3s retries 0
      → t1 to A (1)
      → t1 in_progress
      3s tick
      → cancel t1#1 at A
      7.9s tick
      8s tick
      → t1 dead_letter
      9s submit t2 scan timeout 3s retries 0
      → t2 to A (1)
      → t2 in_progress
      10s A leaves
      → A is draining
      12s tick
      → cancel t2#1 at A
      17s tick
      → t2 dead_letter
      → A is gone
    `);
  });
});

describe('a collector is lost', () => {
  test('its connection closes: the task goes to another at once', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('t1'));
    core.join('B');
    core.nowMs = 2000;
    expect(assigned(core.close('A'))).toEqual(['t1>B']);
    expect(resultOf(core.complete('t1'))).toEqual({});
    expect(core.state.totals).toMatchObject({ requeued: 1, completed: 1, assigned: 2 });
  });

  test('it beats but forgets a lease: the lease runs out', () => {
    play(`
      0s A joins: scan credit 2
      → A joined
      0s submit t1+t2 scan retries 0
      → t1 to A (1)
      → t2 to A (1)
      → t1 in_progress, t2 in_progress
      15s A beats t1#1
      29s A beats t1#1
      31s tick
      → cancel t2#1 at A
      → t2 dead_letter
    `);
  });

  test('a poisoned task that kills every collector ends in the dead letters', () => {
    const lines: string[] = ['0s submit t1 scan retries 2', '→ t1 pending at 0, nobody can'];
    for (let at = 1; at <= 3; at++)
      lines.push(
        `${at}s C${at} joins: scan`,
        `→ C${at} joined`,
        `→ t1 to C${at} (${at})`,
        `${at}.5s C${at} disconnects`,
        ...(at === 3 ? ['→ t1 dead_letter'] : []),
        `→ C${at} is gone`,
      );
    play(lines.join('\n'));
  });
});

describe('what is counted, kept and answered', () => {
  test('completed: the attempt, the end with its result, those who wait, the reply', () => {
    const core = new TestCore({ wallMs: 9000 });
    core.join('A');
    core.submit(specOf('t1'));
    core.give({ kind: 'wait', to: { session: 8, id: 3 }, id: 't1', include: ['result'], timeoutMs: 60_000 });
    core.nowMs = 250;
    const { token } = core.task('t1');
    const result = Uint8Array.of(1, 2);
    const to = { session: core.sessionOf('A'), id: 77 };
    const out = core.give({ kind: 'complete', to, taskId: 't1', token, result });
    const attempt = { attempt: 1, collectorId: 'A', startedAtMs: 9000, endedAtMs: 9250, outcome: 'completed' };
    const moved = { kind: 'moved', seq: 1, state: 'completed', attempt: 1, token, atMs: 9250, excluded: [] };
    const nothing = { collectorId: undefined, readyAtMs: undefined, delayMs: undefined, error: undefined };
    expect(out).toEqual([
      { kind: 'record', record: { kind: 'attempt', seq: 1, ...attempt, error: undefined } },
      { kind: 'record', record: { ...moved, ...nothing, result } },
      { kind: 'task_moved', spec: specOf('t1'), state: 'completed', attempt: 1, collectorId: undefined },
      { kind: 'ended', to: { session: 8, id: 3 }, id: 't1', include: ['result'] },
      { kind: 'reply', to, outcome: { result: {} } },
    ]);
    expect(core.state.totals).toMatchObject({ completed: 1, failed_attempts: 0 });
    expect(core.state.operations.byName.get('scan')).toMatchObject({ completed: 1, failed: 0, deadLetter: 0 });
    expect(core.state.collectors.get('A')).toMatchObject({ completed: 1, failed: 0 });
    expect(core.state.ended.states.get('t1')).toEqual({ state: 'completed', order: 1 });
    expect(core.state.deadlines.size).toBe(1);
  });

  test('retrying: both clocks, the span it was made from, the error', () => {
    const core = new TestCore({ wallMs: 9000 });
    core.join('A');
    core.submit(specOf('t1'));
    core.nowMs = 250;
    const out = core.fail('t1', { retry_after_ms: 1000 });
    expect(resultOf(out)).toEqual({ state: 'retrying' });
    const error = { code: 'oops', message: 'it broke' };
    expect(recordsOf(out)).toMatchObject([
      { kind: 'attempt', outcome: 'failed', error },
      { kind: 'moved', state: 'retrying', readyAtMs: 10_250, delayMs: 1000, error },
    ]);
    expect(core.task('t1')).toMatchObject({ dueMs: 1250, error });
    expect(core.state.totals).toMatchObject({ retried: 1, failed_attempts: 1, requeued: 0 });
    expect(core.state.operations.byName.get('scan')).toMatchObject({ failed: 1, retrying: 1 });
    expect(core.state.collectors.get('A')).toMatchObject({ completed: 0, failed: 1 });
    const [record] = recordsOf(core.until(1250));
    expect(record).toMatchObject({ kind: 'moved', state: 'pending', readyAtMs: undefined, delayMs: undefined, error });
    expect(core.state.totals).toMatchObject({ retried: 1, requeued: 0, assigned: 2 });
  });

  test('given up, or out of retries: a dead letter with the last error', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 2 });
    core.submit(specOf('t1'), specOf('t2', { maxRetries: 0 }));
    const one = core.fail('t1', { next: 'give_up' });
    const other = core.fail('t2', { next: 'elsewhere' });
    const error = { code: 'oops', message: 'it broke' };
    for (const out of [one, other]) {
      expect(resultOf(out)).toEqual({ state: 'dead_letter' });
      expect(recordsOf(out).at(-1)).toMatchObject({ kind: 'moved', state: 'dead_letter', error, result: undefined });
    }
    expect([...attemptsOf(one), ...attemptsOf(other)]).toEqual(['gave_up: it broke', 'failed: it broke']);
    expect(core.state.totals).toMatchObject({ dead_lettered: 2, failed_attempts: 2, retried: 0, requeued: 0 });
    expect(core.state.operations.byName.get('scan')).toMatchObject({ deadLetter: 2, failed: 2 });
  });

  test('elsewhere: pending again at once, kept from that collector for good', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 2 });
    core.join('B');
    core.submit(specOf('t1'));
    const out = core.fail('t1', { next: 'elsewhere' });
    expect(resultOf(out)).toEqual({ state: 'pending' });
    expect(recordsOf(out)).toMatchObject([
      { outcome: 'failed' },
      { state: 'pending', excluded: ['A'] },
      { state: 'in_progress', excluded: ['A'] },
    ]);
    expect(assigned(out)).toEqual(['t1>B']);
    expect(assigned(core.fail('t1', { next: 'elsewhere' }))).toEqual([]);
    expect(core.task('t1').excluded).toEqual(['A', 'B']);
    expect(assigned(core.join('C'))).toEqual(['t1>C']);
    expect(core.state.totals).toMatchObject({ requeued: 2, failed_attempts: 2, retried: 0 });
  });

  test('lost: requeued while it has retries, and then not', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 2 });
    core.submit(specOf('t1', { maxRetries: 1 }), specOf('t2', { maxRetries: 0 }));
    expect(attemptsOf(core.close('A'))).toEqual(
      Array(2).fill('connection_lost: Collector A is gone: its connection closed.'),
    );
    expect(core.state.totals).toMatchObject({ requeued: 1, dead_lettered: 1, failed_attempts: 2 });
    core.join('A');
    core.close('A');
    expect(core.state.totals).toMatchObject({ requeued: 1, dead_lettered: 2, failed_attempts: 3 });
    expect(core.state.tasks.size).toBe(0);
  });

  test('a lease that is over is refused with the reason', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(...specsOf(['t1', 't2']));
    const { token } = core.task('t1');
    const why = (id: string, with_ = token) => faultOf(core.complete(id, with_)).message;
    expect(why('t2')).toBe('This lease on task t2 is over: it is pending at attempt 0. Drop the attempt.');
    expect(why('t1', 'other')).toBe('This lease on task t1 is over: it is in_progress at attempt 1. Drop the attempt.');
    core.complete('t1');
    expect(why('t1')).toBe('This lease on task t1 is over: it is completed. Drop the attempt.');
    expect(why('t9')).toBe('This lease on task t9 is over: it is not in progress. Drop the attempt.');
    const stale = core.fail('t1');
    expect(faultOf(stale)).toMatchObject({ code: 'stale_lease', context: { task_id: 't1' } });
    expect(stale).toHaveLength(1);
  });
});
