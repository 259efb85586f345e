import { describe, expect, test } from 'vitest';
import { newTokens, nextToken } from '../../src/core/lease.ts';
import { newState } from '../../src/core/state.ts';
import { attemptsOf, faultOf, resultOf, specOf, specsOf, TestCore } from './harness.ts';

describe('tokens', () => {
  test('an epoch and a sequence, never equal, also across epochs', () => {
    const all = new Set<string>();
    // 1 and 11, 2 and 22: written side by side without a mark between them they would meet.
    for (const epoch of [1, 2, 11, 12, 36, 37, 1296, 1297]) {
      const tokens = newTokens(epoch, '');
      for (let at = 0; at < 2000; at++) all.add(nextToken(tokens));
    }
    expect(all.size).toBe(8 * 2000);
    expect(nextToken(newTokens(36, ''))).toBe('10.1');
    expect(nextToken(newState().tokens)).toBe('1.1');
    // Two starts from one restored copy have the same epoch.
    expect(nextToken(newState({ epoch: 3, nonce: '-x1' }).tokens)).toBe('3-x1.1');
  });

  test('every attempt has its own; an older one of the same task is over', () => {
    const core = new TestCore({ epoch: 7 });
    core.join('A');
    core.submit(specOf('t1'));
    const first = core.task('t1').token;
    core.fail('t1', { retry_after_ms: 0 });
    const second = core.task('t1').token;
    expect([first, second]).toEqual(['7.1', '7.2']);
    expect(faultOf(core.complete('t1', first)).code).toBe('stale_lease');
    expect(core.task('t1').life.state).toBe('in_progress');
    expect(resultOf(core.complete('t1', second))).toEqual({});
  });
});

describe('a heartbeat', () => {
  test('renews the leases that it names; the reply lists those that are lost', () => {
    const core = new TestCore({ leaseMs: 1000 });
    core.join('A', { max_concurrent_tasks: 2 });
    core.join('B');
    core.submit(...specsOf(['t1', 't2', 't3']));
    const ofB = [...core.state.collectors.get('B')!.tasks.keys()][0]!;
    const [mine, other] = [...core.state.collectors.get('A')!.tasks.keys()] as [string, string];
    core.until(600);
    const stale = { task_id: other, token: 'other' };
    const leases = [core.lease(mine), core.lease(ofB), stale, { task_id: 'gone', token: '1.1' }];
    expect(resultOf(core.beat('A', [], { leases }))).toEqual({ lost: leases.slice(1) });
    core.beat('B', [ofB]);
    expect(core.task(mine)).toMatchObject({ dueMs: 1600, life: { leaseEndsAtMs: 1600 } });
    expect(core.task(other)).toMatchObject({ dueMs: 1000 });
    expect(attemptsOf(core.until(1599))).toHaveLength(1);
    expect(attemptsOf(core.until(1600))).toHaveLength(2);
  });
});

describe('an attempt that takes too long', () => {
  const late = (): TestCore => {
    const core = new TestCore({ cancelGraceMs: 100, leaseMs: 10_000 });
    core.join('A');
    core.submit(specOf('t1', { timeoutMs: 500, backoffBaseMs: 1_000_000, backoffCapMs: 1_000_000 }));
    return core;
  };

  test('is cancelled once, and failed when the grace is over', () => {
    const core = late();
    expect(core.until(499)).toEqual([]);
    const { token } = core.task('t1');
    const reason = 'The attempt took longer than 500 ms.';
    expect(core.until(500)).toEqual([
      { kind: 'cancel_attempt', session: 1, topic: 'control.tasks.sim.A', id: 't1', token, reason },
    ]);
    expect(core.until(599)).toEqual([]);
    expect(attemptsOf(core.until(600))).toEqual([
      'timed_out: The attempt took longer than 500 ms and did not stop when it was cancelled.',
    ]);
  });

  test('is retried after a backoff, not at once', () => {
    const core = late();
    core.until(600);
    const { life, attempt } = core.task('t1');
    expect(attempt).toBe(1);
    expect(life.state).toBe('retrying');
    expect(life.state === 'retrying' && life.delayMs).toBeGreaterThan(1000);
    expect(core.state.totals).toMatchObject({ retried: 1, assigned: 1, requeued: 0 });
    expect(core.held()).toEqual({ A: [] });
    expect(core.state.collectors.get('A')).toMatchObject({ failed: 1 });
  });

  test('out of retries: a dead letter', () => {
    const core = new TestCore({ cancelGraceMs: 100 });
    core.join('A');
    core.submit(specOf('t1', { timeoutMs: 500, maxRetries: 0 }));
    core.until(600);
    expect(core.state.ended.states.get('t1')?.state).toBe('dead_letter');
  });

  test('may still be answered within the grace', () => {
    const core = late();
    core.until(550);
    expect(resultOf(core.complete('t1'))).toEqual({});
    expect(core.state.totals).toMatchObject({ completed: 1, failed_attempts: 0 });
  });

  test('a heartbeat does not lengthen it', () => {
    const core = late();
    core.until(490);
    core.beat('A', ['t1']);
    expect(core.until(500)).toHaveLength(1);
    core.until(590);
    core.beat('A', ['t1']);
    expect(attemptsOf(core.until(600))).toHaveLength(1);
  });
});

test('a lease that ends is taken back, also within the grace of a cancel', () => {
  const core = new TestCore({ leaseMs: 550, cancelGraceMs: 100 });
  core.join('A', { max_concurrent_tasks: 2 });
  core.submit(specOf('t1', { timeoutMs: 500 }), specOf('t2'));
  expect(core.until(549).map(({ kind }) => kind)).toEqual(['cancel_attempt']);
  const tokens = ['t1', 't2'].map((id) => core.task(id).token);
  const out = core.until(550);
  expect(attemptsOf(out)).toEqual(Array(2).fill('lease_expired: Collector A did not renew its lease.'));
  const cancelled = out.filter((one) => one.kind === 'cancel_attempt');
  expect(cancelled.map(({ token }) => token).sort()).toEqual(tokens);
  expect(cancelled.map(({ reason }) => reason)).toEqual(Array(2).fill('The lease ended.'));
  expect(core.state.totals).toMatchObject({ requeued: 2, retried: 0 });
});
