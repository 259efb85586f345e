import { describe, expect, test } from 'vitest';
import { checkInvariants } from '../../src/core/invariants.ts';
import { prefetch } from '../../src/core/prefetch.ts';
import type { CoreState } from '../../src/core/state.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { caller, offering, specOf, specsOf, TestCore } from './harness.ts';

/** One of everything: t1 in progress at A, t2 waits for credit, t3 is retrying, t4 is unservable, t5 has ended. */
function busy(): TestCore {
  const core = new TestCore({ classesMax: 1, operationsMax: 4, endedIdsMax: 2, waitsMax: 2, collectorTasksMax: 3 });
  core.join('A');
  core.join('B', offering('other'));
  core.submit(specOf('t3'));
  core.fail('t3', { retry_after_ms: 1000 });
  core.submit(specOf('t5', { operation: 'other' }));
  core.complete('t5');
  core.submit(...specsOf(['t1', 't2']), specOf('t4', { operation: 'dream', priority: 250 }));
  core.give({ kind: 'wait', to: caller, id: 't2', include: [], timeoutMs: 10_000 });
  checkInvariants(core.state);
  return core;
}

const operation = (state: CoreState, name = 'scan') => state.operations.byName.get(name)!;
const collector = (state: CoreState, name = 'A') => state.collectors.get(name)!;
const classOf = (state: CoreState, name = 'scan') => state.classes.byKey.get(name)!;

describe('each invariant trips when it is broken', () => {
  test.each<[message: string, breakIt: (core: TestCore) => void]>([
    ['I3: ended task t1 is still among the live ones', (core) => (core.task('t1').life = { state: 'completed' })],
    [
      'I3: task t1 is retrying by its records and in_progress by its life',
      (core) => (core.task('t1').state = 'retrying'),
    ],
    ['I3: task t1 is live and ended', ({ state }) => state.ended.states.set('t1', { state: 'completed', order: 9 })],
    ['I5: task t1 had 5 of 4 attempts', (core) => (core.task('t1').attempt = 5)],
    ['I7: in_progress task t1 has no deadline', (core) => core.state.deadlines.delete(core.task('t1'))],
    ['I7: retrying task t3 has no deadline', (core) => core.state.deadlines.delete(core.task('t3'))],
    ['I4: A does not know that it holds t1', ({ state }) => collector(state).tasks.delete('t1')],
    ['I4: t1 is held by A, which has gone', ({ state }) => state.collectors.delete('A')],
    ['I3: pending task t2 is not in its queue', (core) => (core.task('t2').class = undefined)],
    [
      'I3: pending task t2 is not in its queue',
      (core) => classOf(core.state).pending.get(100)!.delete(core.task('t2')),
    ],
    ['the gauge of waiting tasks', ({ state }) => state.operations.waiting++],
    ['the gauge of waiting bytes', ({ state }) => state.operations.waitingBytes--],
    ['the gauge of tasks in progress', ({ state }) => state.operations.inProgress--],
    ['the gauge high', ({ state }) => operation(state).high++],
    ['the gauge normal', ({ state }) => operation(state).normal--],
    ['the gauge low', ({ state }) => operation(state).low++],
    ['the gauge retrying', ({ state }) => operation(state).retrying++],
    ['the gauge inProgress', ({ state }) => operation(state).inProgress++],
    ['class scan is filed as empty', ({ state }) => state.classes.empty.add(classOf(state))],
    ['class other is filed as empty', ({ state }) => state.classes.empty.delete(classOf(state, 'other'))],
    ['the collectors of class scan', ({ state }) => (classOf(state).pairings = [])],
    [
      'the collectors of class dream',
      ({ state }) => classOf(state, 'dream').pairings.push(classOf(state).pairings[0]!),
    ],
    [
      'I7: A has credit while scan waits at 100',
      ({ state }) => (collector(state).registration.max_concurrent_tasks = 2),
    ],
    ['I7: A would not find t2 when it has credit', ({ state }) => collector(state).work.pop()],
    ['I7: A would not find t2 when it has credit', ({ state }) => (collector(state).work.first!.priority = 99)],
    ['I7: A would not find t2 when it has credit', ({ state }) => collector(state).work.first!.seq++],
    ['I3: every pending task is queued once', ({ state }) => classOf(state).size++],
    ['I4: B holds t1, which is in_progress', (core) => collector(core.state, 'B').tasks.set('t1', core.task('t1'))],
    ['I4: A holds t2, which is pending', (core) => collector(core.state).tasks.set('t2', core.task('t2'))],
    ['I6: A holds 1 of 0', ({ state }) => (collector(state).registration.max_concurrent_tasks = 0)],
    ['I4: the session of B', ({ state }) => state.collectorOfSession.delete(collector(state, 'B').session)],
    ['I6: dream is filed as idle', ({ state }) => state.operations.idle.add(operation(state, 'dream'))],
    ['I6: other is filed as idle', ({ state }) => (operation(state, 'other').strategy = 'random')],
    ['I6: the queue of ended ids', ({ state }) => state.ended.ids.push('t9')],
    ['I6: session 1000 has 0 waits', ({ state }) => state.waits.bySession.get(1000)!.clear()],
    ['I6: waits for t2, which has ended', ({ state }) => state.waits.byTask.get('t2')!.clear()],
    [
      'I6: waits for gone, which has ended',
      ({ state }) => state.waits.byTask.set('gone', state.waits.byTask.get('t2')!),
    ],
    ['I6: the waits of sessions and tasks', ({ state }) => state.waits.count++],
    ['I6: the waits of sessions and tasks', ({ state }) => state.waits.byTask.clear()],
  ])('%s', (message, breakIt) => {
    const core = busy();
    breakIt(core);
    expect(() => checkInvariants(core.state)).toThrow(message);
  });
});

describe('a bound trips when one more is kept', () => {
  const bounded = (change: Partial<CoreState['limits']>): TestCore => {
    const core = busy();
    core.state.ended.ahead.add('t0');
    Object.assign(core.state, { limits: { ...core.state.limits, ...change } });
    return core;
  };
  test.each<[message: string, change: Partial<CoreState['limits']>]>([
    ['I6: empty classes', { classesMax: 0 }],
    ['I6: idle operations', { operationsMax: 2 }],
    ['I6: ended ids', { endedIdsMax: 0 }],
    ['I6: ids from ahead of the clock', { idsAheadMax: 0 }],
    ['I6: session 1000 has 1 waits', { waitsMax: 0 }],
    ['I6: A holds 1 of 0', { collectorTasksMax: 0 }],
  ])('%s', (message, change) => {
    expect(() => checkInvariants(bounded(change).state)).toThrow(message);
  });

  test('exactly at the bounds nothing trips', () => {
    checkInvariants(
      bounded({ classesMax: 1, operationsMax: 3, endedIdsMax: 1, idsAheadMax: 1, waitsMax: 1, collectorTasksMax: 1 })
        .state,
    );
  });

  test('operations with tasks may be more than the limit, ended ids while a look-up is under way', () => {
    const core = bounded({ endedIdsMax: 0 });
    const old = uuidv7(1);
    core.state.ended.horizonMs = 2;
    using lookUp = prefetch(core.state, { kind: 'submit', to: caller, specs: [specOf(old)], batch: false })!;
    expect(lookUp.ids).toEqual([old]);
    checkInvariants(core.state);
    core.state.operations.byName.delete('other');
    core.state.operations.idle.clear();
    Object.assign(core.state, { limits: { ...core.state.limits, operationsMax: 1 } });
    core.state.classes.byKey.delete('other');
    core.state.classes.empty.clear();
    checkInvariants(core.state);
  });
});

test('what is no breach: parked tasks while stopping, a limit that is lowered below what is held', () => {
  const core = busy();
  core.give({ kind: 'stop' });
  core.close('A');
  core.join('C', { max_concurrent_tasks: 3 });
  const other = new TestCore();
  other.join('A', { max_concurrent_tasks: 3 });
  other.submit(...specsOf(['t1', 't2', 't3', 't4']));
  other.join('A', { max_concurrent_tasks: 1 });
  other.complete('t1');
  other.complete('t2');
  expect(other.held()).toEqual({ A: ['t3'] });
  other.complete('t3');
  expect(other.held()).toEqual({ A: ['t4'] });
});
