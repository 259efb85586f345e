import { describe, expect, test } from 'vitest';
import type { StoredTask } from '../../src/core/record.ts';
import { recover } from '../../src/core/recover.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { assigned, attemptsOf, caller, recordsOf, resultOf, specOf, storedOf, TestCore } from './harness.ts';

const wallMs = 1_800_000_000_000;
const yearMs = 365 * 24 * 3_600_000;

function recovered(
  tasks: readonly StoredTask[],
  kept: { settings?: [string, string][]; newestId?: string; idsAhead?: string[] } = {},
  limits: ConstructorParameters<typeof TestCore>[0] = {},
): TestCore {
  const core = new TestCore({ wallMs, epoch: 2, reclaimGraceMs: 5000, ...limits });
  core.nowMs = 700;
  const { settings = [], newestId, idsAhead = [] } = kept;
  recover(
    core.state,
    { tasks, settings: new Map(settings), nextSeq: 50, expiredBeforeMs: 0, newestId, idsAhead },
    core.now,
  );
  return core;
}

describe('pending', () => {
  test('waits in the order of acceptance, with all that it had', () => {
    const error = { code: 'oops', message: 'it broke' };
    const core = recovered([
      storedOf(3, 't3', { attempt: 2, token: '1.9', error, excluded: ['A'], submittedAtMs: 77 }),
      storedOf(7, 't7'),
    ]);
    expect(core.task('t3')).toMatchObject({
      seq: 3,
      submittedAtMs: 77,
      attempt: 2,
      token: '1.9',
      excluded: ['A'],
      error,
      life: { state: 'pending' },
    });
    expect(core.state.operations).toMatchObject({ waiting: 2, waitingBytes: 2, inProgress: 0 });
    expect(assigned(core.join('A', { max_concurrent_tasks: 9 }))).toEqual(['t7>A']);
    const out = core.join('B', { max_concurrent_tasks: 9 });
    expect(assigned(out)).toEqual(['t3>B']);
    expect(recordsOf(out)).toMatchObject([{ attempt: 3, token: '2.2', excluded: ['A'], error }]);
  });

  test('what is submitted next comes after it', () => {
    const core = recovered([storedOf(3, 't3')]);
    core.submit(specOf('new'));
    expect(core.task('new').seq).toBe(50);
    expect(core.state.nextSeq).toBe(51);
  });
});

describe('retrying', () => {
  const left = (readyAtMs: number | undefined, delayMs: number | undefined, attempt = 1): number => {
    const core = recovered([storedOf(1, 't1', { state: 'retrying', attempt, readyAtMs, delayMs })]);
    const { life, dueMs } = core.task('t1');
    expect(life).toEqual({
      state: 'retrying',
      readyAtMs: wallMs + 700 + dueMs - 700,
      delayMs: delayMs ?? 0,
    });
    return dueMs - 700;
  };
  const nowMs = wallMs + 700;

  test('waits what is left of its backoff, and then goes on', () => {
    expect(left(nowMs + 4000, 9000)).toBe(4000);
    const core = recovered([
      storedOf(1, 't1', { state: 'retrying', attempt: 1, readyAtMs: nowMs + 4000, delayMs: 9000 }),
    ]);
    expect(core.state.operations).toMatchObject({ waiting: 1 });
    expect(core.state.operations.byName.get('scan')).toMatchObject({ retrying: 1 });
    core.join('A');
    expect(assigned(core.until(4699))).toEqual([]);
    expect(assigned(core.until(4700))).toEqual(['t1>A']);
    expect(core.task('t1').attempt).toBe(2);
  });

  test.each([
    ['over while the broker was down', -4000, 9000, 0],
    ['exactly now', 0, 9000, 0],
    ['the clock was a year ahead when it failed', yearMs + 9000, 9000, 9000],
    ['the clock was a year behind when it failed', -yearMs, 9000, 0],
    ['the whole span is left', 9000, 9000, 9000],
    ['a little more than the span', 9001, 9000, 9000],
  ])('%s: never longer than the span it was made from, never negative', (_name, readyInMs, delayMs, expected) => {
    expect(left(nowMs + readyInMs, delayMs)).toBe(expected);
  });

  test('without a span, or without an instant, it is due at once', () => {
    expect(left(nowMs + 4000, undefined)).toBe(0);
    expect(left(undefined, 4000)).toBe(0);
  });
});

describe('in progress', () => {
  const running = (changes: Partial<StoredTask> = {}) =>
    storedOf(1, 't1', { state: 'in_progress', attempt: 1, token: '1.5', collectorId: 'A', atMs: 600, ...changes });
  const lease = { task_id: 't1', token: '1.5' };

  test('is kept for its collector for the grace, and no longer', () => {
    const core = recovered([running()]);
    expect(core.task('t1').life).toEqual({
      state: 'in_progress',
      collector: undefined,
      collectorId: 'A',
      startedAtMs: 600,
      strategy: undefined,
      timeoutAtMs: 700 + 3_600_000,
      leaseEndsAtMs: 5700,
      cancelSentAtMs: undefined,
    });
    expect(core.state.operations).toMatchObject({ waiting: 0, inProgress: 1 });
    core.join('B');
    expect(assigned(core.until(5699))).toEqual([]);
    const out = core.until(5700);
    expect(attemptsOf(out)).toEqual(['not_reclaimed: Collector A did not come back after the broker restarted.']);
    expect(assigned(out)).toEqual(['t1>B']);
    expect(out.filter(({ kind }) => kind === 'cancel_attempt')).toEqual([]);
    expect(core.state.totals).toMatchObject({ requeued: 1 });
  });

  test('out of retries it ends as a dead letter', () => {
    const core = recovered([running({ attempt: 4 })]);
    core.until(5700);
    expect(core.state.ended.states.get('t1')?.state).toBe('dead_letter');
  });

  test('is reclaimed by its collector with its token: a full lease from then on', () => {
    const core = recovered([running()]);
    core.nowMs = 3000;
    const out = core.join('A', { leases: [lease] });
    expect(resultOf(out)).toMatchObject({ reclaimed: [lease] });
    expect(core.held()).toEqual({ A: ['t1'] });
    expect(core.task('t1')).toMatchObject({ dueMs: 33_000, attempt: 1, token: '1.5' });
    expect(core.task('t1').life).toMatchObject({ startedAtMs: 600, leaseEndsAtMs: 33_000, collectorId: 'A' });
    expect(assigned(core.submit(specOf('t2')))).toEqual([]);
    expect(resultOf(core.complete('t1', '1.5'))).toEqual({});
    expect(core.held()).toEqual({ A: ['t2'] });
  });

  test.each([
    ['another token', 'A', { task_id: 't1', token: '1.4' }],
    ['another collector', 'B', lease],
    ['an unknown task', 'A', { task_id: 't9', token: '1.5' }],
    ['a task that waits', 'A', { task_id: 't2', token: '1.5' }],
  ])('not with %s', (_name, collector, claimed) => {
    const core = recovered([running(), storedOf(2, 't2', { token: '1.5', collectorId: 'A' })]);
    const out = core.join(collector, { leases: [claimed], status: 'stopped' });
    expect(resultOf(out)).toMatchObject({ reclaimed: [] });
    expect(core.held()).toEqual({ [collector]: [] });
    expect(core.task('t1').life).toMatchObject({ collector: undefined, leaseEndsAtMs: 5700 });
  });

  test('several at once, those that are valid', () => {
    const core = recovered([
      running(),
      storedOf(2, 't2', { state: 'in_progress', attempt: 2, token: '1.6', collectorId: 'A' }),
      storedOf(3, 't3', { state: 'in_progress', attempt: 2, token: '1.7', collectorId: 'B' }),
    ]);
    const leases = [lease, { task_id: 't2', token: '1.6' }, { task_id: 't3', token: '1.7' }];
    expect(resultOf(core.join('A', { leases }))).toMatchObject({ reclaimed: leases.slice(0, 2) });
    expect(core.held()).toEqual({ A: ['t1', 't2'] });
  });

  test('a registration of its own session again keeps and renews them', () => {
    const core = recovered([running()]);
    core.join('A', { leases: [lease] });
    core.nowMs = 9000;
    expect(resultOf(core.join('A', { leases: [lease] }))).toMatchObject({ reclaimed: [lease] });
    expect(core.task('t1').dueMs).toBe(39_000);
  });

  test('it cannot be answered before it is reclaimed', () => {
    const core = recovered([running()]);
    core.join('A');
    const to = { session: core.sessionOf('A'), id: 3 };
    const out = core.give({ kind: 'complete', to, taskId: 't1', token: '1.5', result: undefined });
    expect(out).toMatchObject([{ kind: 'reply', outcome: { code: 'stale_lease' } }]);
  });

  test('of a collector that was not written down, it is lost', () => {
    const core = recovered([running({ collectorId: undefined })]);
    expect(core.task('t1').life).toMatchObject({ collectorId: '' });
    expect(attemptsOf(core.until(5700))).toHaveLength(1);
  });
});

describe('settings', () => {
  test('strategies of the broker and of operations come back; unknown ones and other keys are left alone', () => {
    const core = recovered([], {
      settings: [
        ['routing.strategy', 'weighted'],
        ['routing.strategy.scan', 'random'],
        ['routing.strategy.hash', 'min_cost_flow'],
        ['something.else', 'round_robin'],
        ['routing.strategyx', 'round_robin'],
      ],
    });
    expect(core.state.strategy).toBe('weighted');
    expect([...core.state.operations.byName.values()].map(({ name, strategy }) => [name, strategy])).toEqual([
      ['scan', 'random'],
    ]);
    expect(core.state.operations.idle.size).toBe(0);
  });

  test('an unknown strategy of the broker leaves the default', () => {
    expect(recovered([], { settings: [['routing.strategy', 'greedy']] }).state.strategy).toBe('least_loaded');
  });

  test('what route writes is what recover reads', () => {
    const core = new TestCore();
    const settings = [undefined, 'scan'].flatMap((operation) =>
      recordsOf(core.give({ kind: 'route', to: caller, strategy: 'round_robin', operation })),
    );
    const pairs = settings.flatMap((one): [string, string][] =>
      one.kind === 'setting' && one.value !== undefined ? [[one.key, one.value]] : [],
    );
    const { state } = recovered([], { settings: pairs });
    expect(state.strategy).toBe('round_robin');
    expect(state.operations.byName.get('scan')?.strategy).toBe('round_robin');
  });

  test('an operation gives its own strategy back, and its place', () => {
    const core = new TestCore({ operationsMax: 1 });
    const route = (strategy: string, operation?: string) =>
      core.give({ kind: 'route', to: caller, strategy, operation });
    route('random', 'scan');
    expect(core.state.operations.idle.size).toBe(0);
    expect(route('random', 'other')).toMatchObject([{ kind: 'reply', outcome: { code: 'too_many_operations' } }]);
    expect(route('default', 'scan')).toMatchObject([
      { kind: 'record', record: { key: 'routing.strategy.scan', value: undefined } },
      { kind: 'reply', outcome: { result: { strategy: 'least_loaded', operation: 'scan' } } },
    ]);
    expect(core.state.operations.idle.size).toBe(1);
    expect(route('random', 'other')).toMatchObject([{ kind: 'record' }, { kind: 'reply' }]);
    // Of the broker as a whole there is nothing to go back to.
    expect(route('default')).toMatchObject([{ kind: 'reply', outcome: { code: 'invalid_params' } }]);
  });
});

describe('what has ended before', () => {
  test('the newest id that was not ahead of the clock is the horizon, wherever the clock is by now; ids from ahead are kept one by one', () => {
    const ahead = [uuidv7(wallMs + yearMs)];
    const core = recovered([], { newestId: uuidv7(wallMs - 60), idsAhead: ahead });
    expect(core.state.ended.horizonMs).toBe(wallMs - 60);
    expect([...core.state.ended.ahead]).toEqual(ahead);
    expect(recovered([], { newestId: uuidv7(wallMs + 9999) }).state.ended.horizonMs).toBe(wallMs + 9999);
    expect(recovered([]).state.ended.horizonMs).toBe(0);
  });
});
