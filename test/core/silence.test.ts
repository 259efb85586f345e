import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assigned, changesOf, recordsOf, specOf, specsOf, TestCore } from './harness.ts';
import { play } from './transcript.ts';

test('degraded after one heartbeat, failing after two, and a late answer is fenced', () => {
  play(
    `
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      0s B joins: scan
      → B joined
      10s B beats
      16.5s tick
      → A is degraded
      20s B beats
      31.5s tick
      → A is failing
      → t1 to B (2)
      32s A completes t1#1
      → refused: stale_lease
      33s A beats t1#1
      → A is healthy
      → lost: t1
    `,
    { limits: { leaseMs: 60_000 } },
  );
});

test('a heartbeat counts as missed a tenth of the interval late, and not before', () => {
  const core = new TestCore({ heartbeatMs: 1000, leaseMs: 60_000 });
  core.nowMs = 500;
  core.join('A');
  expect(changesOf(core.until(1599))).toEqual([]);
  expect(changesOf(core.until(1600))).toEqual(['A degraded: one heartbeat missed']);
  expect(core.state.collectors.get('A')?.statusChangedAtMs).toBe(1600);
  expect(changesOf(core.until(2599))).toEqual([]);
  expect(changesOf(core.until(2600))).toEqual(['A failing: no heartbeat for 2 s']);
  expect(core.state.deadlines.nextMs).toBe(Number.POSITIVE_INFINITY);
  expect(changesOf(core.until(1_000_000))).toEqual([]);
});

test('a step that comes late finds both missed at once', () => {
  const core = new TestCore({ heartbeatMs: 1000, leaseMs: 60_000 });
  core.join('A');
  core.nowMs = 3700;
  expect(changesOf(core.give({ kind: 'tick' }))).toEqual(['A failing: no heartbeat for 4 s']);
});

test('each heartbeat begins the time anew', () => {
  const core = new TestCore({ heartbeatMs: 1000 });
  core.join('A');
  for (let at = 1000; at <= 5000; at += 1000) {
    expect(changesOf(core.until(at))).toEqual([]);
    core.beat('A');
  }
  expect(changesOf(core.until(6100))).toEqual(['A degraded: one heartbeat missed']);
  core.beat('A');
  expect(core.state.collectors.get('A')?.status).toBe('healthy');
  expect(changesOf(core.until(7199))).toEqual([]);
});

test('everything that it holds is given to others, as an attempt that was lost', () => {
  const core = new TestCore({ heartbeatMs: 1000, leaseMs: 60_000 });
  core.join('A', { max_concurrent_tasks: 9 });
  core.submit(...specsOf(['t1', 't2']), specOf('t3', { maxRetries: 0 }));
  core.until(1500);
  core.join('B', { max_concurrent_tasks: 9 });
  const out = core.until(2100);
  expect(assigned(out)).toEqual(['t1>B', 't2>B']);
  const message = 'Collector A missed two heartbeats.';
  expect(recordsOf(out).filter(({ kind }) => kind === 'attempt')).toMatchObject(
    Array(3).fill({ outcome: 'collector_silent', error: { code: 'collector_silent', message } }),
  );
  expect(core.state.ended.states.get('t3')?.state).toBe('dead_letter');
  expect(core.held()).toEqual({ A: [], B: ['t1', 't2'] });
});

describe('the status that the collector reports is kept until it has to be worse', () => {
  test.each([
    ['degraded', ['A failing: no heartbeat for 2 s']],
    ['stopped', ['A failing: no heartbeat for 2 s']],
  ] as const)('%s', (status, expected) => {
    const core = new TestCore({ heartbeatMs: 1000 });
    core.join('A', { status, status_reason: 'by itself' });
    expect(changesOf(core.until(1100))).toEqual([]);
    expect(core.state.collectors.get('A')).toMatchObject({ status, reason: 'by itself' });
    expect(changesOf(core.until(9000))).toEqual(expected);
  });

  test('draining: stays so, loses its tasks, and is gone', () => {
    const core = new TestCore({ heartbeatMs: 1000, leaseMs: 60_000 });
    core.join('A');
    core.submit(specOf('t1'));
    core.leave('A');
    expect(changesOf(core.until(2099))).toEqual([]);
    expect(changesOf(core.until(2100))).toEqual(['A gone: drained']);
    expect(core.task('t1').life.state).toBe('pending');
  });
});

test('at any fraction of a millisecond the silence is noticed once, at the moment that was armed', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e7, noNaN: true }),
      fc.integer({ min: 1, max: 99_999 }),
      (at, heartbeatMs) => {
        const core = new TestCore({ heartbeatMs });
        core.nowMs = at;
        core.join('A');
        const changes = changesOf(core.until(at + 3 * heartbeatMs));
        expect(changes.map((one) => one.split(':')[0])).toEqual(['A degraded', 'A failing']);
      },
    ),
    { numRuns: 2000 },
  );
});
