import { describe, expect, test } from 'vitest';
import {
  assigned,
  attemptsOf,
  caller,
  changesOf,
  faultOf,
  offering,
  registrationOf,
  resultOf,
  specOf,
  specsOf,
  TestCore,
} from './harness.ts';
import { play } from './transcript.ts';

describe('registration', () => {
  test('an id is held once', () => {
    play(`
      0s A joins: scan
      → A joined
      0s B joins: scan as A
      → refused: id_taken
      0s A joins: scan as other
      → refused: id_taken
    `);
  });

  test('is answered with its topic and the rhythm; the session is that collector from now on', () => {
    const core = new TestCore({ leaseMs: 500, heartbeatMs: 200, wallMs: 70_000 });
    core.nowMs = 30;
    const registration = registrationOf('A', { collector_type: 'deep', status: 'degraded', status_reason: 'no root' });
    const out = core.join('A', registration);
    expect(out).toEqual([
      { kind: 'registered', session: 1, registration },
      { kind: 'collector_changed', id: 'A', type: 'deep', status: 'degraded', reason: 'registered' },
      {
        kind: 'reply',
        to: { session: 1, id: 1 },
        outcome: { result: { topic: 'control.tasks.deep.A', heartbeat_ms: 200, lease_ms: 500, reclaimed: [] } },
      },
    ]);
    expect(core.state.collectors.get('A')).toMatchObject({
      session: 1,
      status: 'degraded',
      reason: 'no root',
      statusChangedAtMs: 70_030,
      active: { monotonicMs: 30, wallMs: 70_030 },
      lastAssigned: 0,
      unreadBytes: 0,
    });
  });

  test('refused with what holds the id, and nothing is changed', () => {
    const core = new TestCore();
    core.join('A', { pid: 42 });
    const to = { session: 99, id: 5 };
    const other = core.give({ kind: 'register', to, registration: registrationOf('A', { labels: { x: '1' } }) });
    expect(other).toHaveLength(1);
    expect(faultOf(other)).toMatchObject({
      code: 'id_taken',
      message: 'The collector id "A" is held by another live session (pid 42). Choose another id, or stop that one.',
      context: { pid: 42 },
    });
    const second = core.give({ kind: 'register', to: { session: 1, id: 2 }, registration: registrationOf('B') });
    expect(second).toHaveLength(1);
    expect(faultOf(second)).toMatchObject({
      code: 'id_taken',
      message: 'This session is already the collector "A". One session is one collector.',
      context: { collector_id: 'A' },
    });
    expect([...core.state.collectors.keys()]).toEqual(['A']);
    expect([...core.state.collectorOfSession.keys()]).toEqual([1]);
    expect(core.state.collectors.get('A')?.registration.labels).toEqual({});
  });

  test('again by its own session: new operations, levels and limits count at once, what it holds stays', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('s1'), specOf('s2'), specOf('h1', { operation: 'hash' }), specOf('h2', { operation: 'hash' }));
    const out = core.join('A', { ...offering('hash'), max_concurrent_tasks: 2, weight: 3 });
    expect(assigned(out)).toEqual(['h1>A']);
    expect(changesOf(out)).toEqual([]);
    expect(core.held()).toEqual({ A: ['s1', 'h1'] });
    expect(assigned(core.complete('s1'))).toEqual(['h2>A']);
    core.complete('h1');
    expect(core.task('s2').life.state).toBe('pending');
    expect(assigned(core.join('A', offering('scan hash')))).toEqual([]);
    expect(assigned(core.complete('h2'))).toEqual(['s2>A']);
  });

  test('again with another status', () => {
    const core = new TestCore();
    core.join('A');
    expect(changesOf(core.join('A', { status: 'stopped', status_reason: 'paused' }))).toEqual(['A stopped: paused']);
    expect(assigned(core.submit(specOf('t1')))).toEqual([]);
    const out = core.join('A');
    expect(changesOf(out)).toEqual(['A healthy: ']);
    expect(assigned(out)).toEqual(['t1>A']);
  });

  test('an id is free again when its session has closed', () => {
    const core = new TestCore();
    core.join('A');
    expect(changesOf(core.close('A'))).toEqual(['A gone: its connection closed']);
    expect(core.state.deadlines.size).toBe(0);
    expect(changesOf(core.join('A'))).toEqual(['A healthy: registered']);
    expect(core.state.collectors.get('A')?.session).toBe(2);
  });
});

describe('heartbeat', () => {
  test('is kept: its status, its figures, its time', () => {
    const core = new TestCore({ wallMs: 500 });
    core.join('A');
    core.nowMs = 10;
    const out = core.beat('A', [], { status: 'degraded', status_reason: 'slow', cpu_percent: 7.5, rss_bytes: 1024 });
    expect(changesOf(out)).toEqual(['A degraded: slow']);
    expect(core.state.collectors.get('A')).toMatchObject({
      reason: 'slow',
      statusChangedAtMs: 510,
      cpuPercent: 7.5,
      rssBytes: 1024,
      active: { monotonicMs: 10, wallMs: 510 },
    });
    core.nowMs = 20;
    expect(changesOf(core.beat('A', [], { status: 'degraded', status_reason: 'still slow' }))).toEqual([]);
    expect(core.state.collectors.get('A')).toMatchObject({
      reason: 'still slow',
      statusChangedAtMs: 510,
      cpuPercent: undefined,
      rssBytes: undefined,
    });
  });

  test('a collector that is well again gets what waited for it', () => {
    const core = new TestCore();
    core.join('A', { status: 'stopped' });
    core.submit(specOf('t1'));
    expect(assigned(core.beat('A'))).toEqual(['t1>A']);
  });

  test('and so one that was silent', () => {
    const core = new TestCore();
    core.join('A');
    core.until(40_000);
    core.submit(specOf('t1'));
    expect(assigned(core.beat('A'))).toEqual(['t1>A']);
  });

  test.each([
    ['heartbeat', (core: TestCore) => core.beat('X')],
    ['deregister', (core: TestCore) => core.leave('X')],
  ])('%s of a session that is no collector is refused', (_name, give) => {
    const out = give(new TestCore());
    expect(faultOf(out)).toMatchObject({
      code: 'not_registered',
      message: 'This session has registered no collector. Send collector.register first.',
    });
  });
});

describe('leaving', () => {
  test('it leaves: drained, or at once', () => {
    play(`
      0s A joins: scan
      → A joined
      0s submit t1 scan
      → t1 to A (1)
      → t1 in_progress
      1s A leaves
      → A is draining
      1s submit t2 scan
      → t2 pending at 0, nobody can
      2s A completes t1#1
      → t1 completed
      → A is gone
      3s B joins: scan
      → B joined
      → t2 to B (1)
      4s B leaves now
      → B is gone
    `);
  });

  test('drained: nothing new, gone when the last task has ended, whatever it sends meanwhile', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 3 });
    core.submit(...specsOf(['t1', 't2']));
    const out = core.leave('A', false, 'bye');
    expect(resultOf(out)).toEqual({ tasks_in_progress: 2 });
    expect(changesOf(out)).toEqual(['A draining: bye']);
    expect(core.state.collectors.get('A')?.status).toBe('draining');
    expect(assigned(core.submit(specOf('t3')))).toEqual([]);
    expect(changesOf(core.beat('A', ['t1', 't2']))).toEqual([]);
    expect(changesOf(core.join('A', { max_concurrent_tasks: 3 }))).toEqual([]);
    expect(changesOf(core.leave('A'))).toEqual([]);
    expect(assigned(core.complete('t1'))).toEqual([]);
    expect(changesOf(core.fail('t2', { next: 'give_up' }))).toEqual(['A gone: drained']);
    expect(core.state.collectors.size).toBe(0);
    expect(core.state.draining.size).toBe(0);
    expect(core.state.collectorOfSession.size).toBe(0);
  });

  test('drained with nothing in hand: gone in the same step', () => {
    const core = new TestCore();
    core.join('A');
    expect(changesOf(core.leave('A', false, 'bye'))).toEqual(['A draining: bye', 'A gone: drained']);
  });

  test('at once: what it holds is given to others', () => {
    const core = new TestCore();
    core.join('A', { max_concurrent_tasks: 2 });
    core.submit(...specsOf(['t1', 't2']));
    core.join('B', { max_concurrent_tasks: 2 });
    const out = core.leave('A', true, 'maintenance');
    expect(resultOf(out)).toEqual({ tasks_in_progress: 2 });
    expect(changesOf(out)).toEqual(['A gone: maintenance']);
    expect(attemptsOf(out)).toEqual(Array(2).fill('connection_lost: Collector A is gone: maintenance.'));
    expect(assigned(out)).toEqual(['t1>B', 't2>B']);
    expect(changesOf(core.leave('B', true))).toEqual(['B gone: deregistered']);
    expect(core.state.freed.size).toBe(0);
  });

  test('a draining collector whose session closes is gone once', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(specOf('t1'));
    core.leave('A');
    expect(changesOf(core.close('A'))).toEqual(['A gone: its connection closed']);
    expect(core.state.draining.size).toBe(0);
  });

  test('it leaves no trace in the classes', () => {
    const core = new TestCore();
    core.join('A');
    core.join('B');
    core.submit(...specsOf(['t1', 't2', 't3']));
    const gone = core.state.collectors.get('A')!;
    core.close('A');
    const [cls] = core.state.classes.byKey.values();
    expect(cls!.pairings.map(({ collector }) => collector.id)).toEqual(['B']);
    expect(gone.pairings.size).toBe(0);
    expect(gone.work.size).toBe(0);
  });
});

describe('payloads on their way', () => {
  const sized = (id: string, bytes: number) => specOf(id, { payload: new Uint8Array(bytes) });
  const read = (core: TestCore, name: string, bytes: number) =>
    core.give({ kind: 'bytes_read', session: core.sessionOf(name), bytes });

  test('a collector with too many unread bytes gets no more until it has read some', () => {
    const core = new TestCore({ outboundBytesMax: 100 });
    core.join('A', { max_concurrent_tasks: 9 });
    expect(assigned(core.submit(sized('t1', 100), sized('t2', 1), sized('t3', 50)))).toEqual(['t1>A', 't2>A']);
    expect(core.state.collectors.get('A')?.unreadBytes).toBe(101);
    expect(assigned(read(core, 'A', 1))).toEqual(['t3>A']);
    expect(core.state.collectors.get('A')?.unreadBytes).toBe(150);
  });

  test('are not gone when the collector is: the session may be one again, under any id', () => {
    const core = new TestCore({ outboundBytesMax: 100 });
    core.join('A', { max_concurrent_tasks: 9 });
    core.submit(sized('t1', 120));
    const session = core.sessionOf('A');
    const to = { session, id: 1 };
    core.give({ kind: 'deregister', to, force: true, reason: '' });
    read(core, 'A', 10);
    const registration = { ...registrationOf('A'), max_concurrent_tasks: 9 };
    expect(assigned(core.give({ kind: 'register', to, registration }))).toEqual([]);
    expect(core.state.collectors.get('A')?.unreadBytes).toBe(110);
    expect(assigned(read(core, 'A', 10))).toEqual(['t1>A']);
    core.give({ kind: 'deregister', to, force: true, reason: '' });
    expect(core.state.unread.size).toBe(1);
    core.give({ kind: 'session_closed', session });
    expect(core.state.unread.size).toBe(0);
  });

  test('never less than none; a session that is no collector has none', () => {
    const core = new TestCore();
    core.join('A');
    core.submit(sized('t1', 10));
    read(core, 'A', 50);
    expect(core.state.collectors.get('A')?.unreadBytes).toBe(0);
    expect(core.give({ kind: 'bytes_read', session: caller.session, bytes: 5 })).toEqual([]);
  });
});
