import { expect, test } from 'vitest';
import { carryOver, noRequest } from '../../src/core/carry-over.ts';
import type { StoredTask } from '../../src/core/record.ts';
import { recover } from '../../src/core/recover.ts';
import type { Heartbeat } from '../../src/protocol/collector-schema.ts';
import { assigned, registrationOf, resultOf, specOf, specsOf, storedOf, TestCore } from './harness.ts';

/** A core that is folded again from what the store has of this one, and given its sessions' inputs. */
function replaced(old: TestCore): { core: TestCore; out: ReturnType<TestCore['give']> } {
  const core = new TestCore({ epoch: 2 });
  core.nowMs = old.nowMs;
  const tasks = [...old.state.tasks.values()].map(({ spec, seq, attempt, token, excluded, life }): StoredTask => {
    const collectorId = life.state === 'in_progress' ? life.collectorId : undefined;
    return storedOf(seq, spec.id, { spec, attempt, token, excluded, state: life.state, collectorId });
  });
  const settings = new Map<string, string>();
  recover(
    core.state,
    { tasks, settings, nextSeq: old.state.nextSeq, expiredBeforeMs: 0, newestId: undefined, idsAhead: [] },
    core.now,
  );
  return { core, out: carryOver(old.state, old.now).flatMap((input) => core.give(input)) };
}

test('collectors keep what they hold, and are given what waits', () => {
  const old = new TestCore();
  old.join('A', { max_concurrent_tasks: 2, labels: { zone: 'a' } });
  old.join('B', { status: 'degraded', status_reason: 'slow' });
  old.submit(...specsOf(['t1', 't2', 't3', 't4']));
  old.close('B');
  old.join('B', { status: 'degraded', status_reason: 'slow' });
  const { core, out } = replaced(old);
  expect(core.held()).toEqual(old.held());
  expect(assigned(out)).toEqual([]);
  for (const [id, collector] of core.state.collectors) {
    const { session, status, reason, registration } = old.state.collectors.get(id)!;
    expect(collector).toMatchObject({ session, status, reason });
    expect(collector.registration).toMatchObject({ ...registration, leases: expect.anything() });
  }
  expect(
    out.filter(({ kind }) => kind === 'reply').every((one) => one.kind === 'reply' && one.to.id === noRequest),
  ).toBe(true);
  const session = old.state.collectors.get('A')!.session;
  const { token } = core.task('t1');
  expect(token).toBe(old.task('t1').token);
  const answered = core.give({ kind: 'complete', to: { session, id: 5 }, taskId: 't1', token, result: undefined });
  expect(resultOf(answered)).toEqual({});
  expect(assigned(answered)).toHaveLength(1);
});

test('payload bytes that nobody has taken yet stay counted, also where a collector is no more', () => {
  const old = new TestCore();
  for (const name of ['A', 'B']) {
    old.join(name);
    old.submit(specOf(`t-${name}`, { payload: new Uint8Array(50) }));
  }
  const [a, b] = [old.sessionOf('A'), old.sessionOf('B')];
  old.give({ kind: 'deregister', to: { session: b, id: 1 }, force: true, reason: '' });
  const { core } = replaced(old);
  expect(core.state.collectors.get('A')).toMatchObject({ session: a, unreadBytes: 50 });
  expect([...core.state.unread]).toEqual([[b, 50]]);
});

test('open waits go on for what is left of them', () => {
  const old = new TestCore();
  old.submit(specOf('t1'));
  old.give({ kind: 'wait', to: { session: 8, id: 3 }, id: 't1', include: ['result'], timeoutMs: 1000 });
  old.give({ kind: 'wait', to: { session: 8, id: 4 }, id: 't1', include: [], timeoutMs: 100 });
  old.nowMs = 400;
  const { core } = replaced(old);
  expect(core.until(1)).toEqual([]);
  core.nowMs = 400;
  expect(core.until(400)).toEqual([]);
  expect(core.until(401)).toMatchObject([{ kind: 'reply', to: { session: 8, id: 4 } }]);
  expect(core.until(999)).toEqual([]);
  const ended = { kind: 'ended', to: { session: 8, id: 3 }, id: 't1', include: ['result'] };
  expect(core.cancel('t1')).toContainEqual(ended);
  const again = replaced(old).core;
  expect(again.until(1000)).toMatchObject([{ to: { id: 4 } }, { to: { id: 3 } }]);
});

test('a wait for what ended meanwhile is answered', () => {
  const old = new TestCore();
  old.submit(specOf('t1'));
  old.give({ kind: 'wait', to: { session: 8, id: 3 }, id: 't1', include: [], timeoutMs: 1000 });
  const core = new TestCore();
  const out = carryOver(old.state, old.now).flatMap((input) => core.give(input));
  expect(out).toEqual([{ kind: 'ended', to: { session: 8, id: 3 }, id: 't1', include: [] }]);
});

test('one that is draining goes on draining, and is given nothing on the way', () => {
  const old = new TestCore();
  old.join('A', { max_concurrent_tasks: 9 });
  old.submit(specOf('t1'));
  old.leave('A', false, 'bye');
  old.submit(specOf('t2'));
  const { core, out } = replaced(old);
  expect(assigned(out)).toEqual([]);
  expect(core.state.collectors.get('A')?.status).toBe('draining');
  expect(core.held()).toEqual({ A: ['t1'] });
});

test('one that is silent is given nothing until it reports', () => {
  const old = new TestCore();
  old.join('A');
  old.until(40_000);
  old.submit(specOf('t1'));
  const { core, out } = replaced(old);
  expect(assigned(out)).toEqual([]);
  expect(core.state.collectors.get('A')).toMatchObject({ status: 'stopped', reason: 'no heartbeat for 32 s' });
  const report: Heartbeat = { leases: [], status: 'healthy', status_reason: '' };
  expect(assigned(core.give({ kind: 'heartbeat', to: { session: 1, id: 1 }, report }))).toEqual(['t1>A']);
});

test('a broker that stops hands out nothing on the way', () => {
  const old = new TestCore();
  old.submit(specOf('t1'));
  old.give({ kind: 'stop' });
  old.join('A');
  const { core, out } = replaced(old);
  expect(assigned(out)).toEqual([]);
  expect(core.state.stopping).toBe(true);
  expect([...core.state.collectors.keys()]).toEqual(['A']);
});

test('nothing of nothing', () => {
  expect(carryOver(new TestCore().state, { monotonicMs: 0, wallMs: 0 })).toEqual([]);
  expect(registrationOf('A').leases).toEqual([]);
});
