/** What must hold after every step; see deye-design(7). Throws with the name of the broken one. */
import assert from 'node:assert/strict';
import { isEnded } from '../protocol/state.ts';
import { mismatch, refusal } from './match.ts';
import { liveOf, pendingOf } from './operation.ts';
import { bestFor } from './pairing.ts';
import type { CoreState } from './state.ts';

export function checkInvariants(state: CoreState): void {
  checkTasks(state);
  checkQueues(state);
  checkCollectors(state);
  checkBounds(state);
}

function checkTasks(state: CoreState): void {
  let waiting = 0;
  let inProgress = 0;
  let bytes = 0;
  for (const task of state.tasks.values()) {
    const { life, spec } = task;
    assert(!isEnded(life.state), `I3: ended task ${spec.id} is still among the live ones`);
    assert(
      life.state === task.state,
      `I3: task ${spec.id} is ${task.state} by its records and ${life.state} by its life`,
    );
    assert(!state.ended.states.has(spec.id), `I3: task ${spec.id} is live and ended`);
    assert(
      task.attempt <= spec.maxRetries + 1,
      `I5: task ${spec.id} had ${task.attempt} of ${spec.maxRetries + 1} attempts`,
    );
    assert(task.dueIndex !== -1 || life.state === 'pending', `I7: ${life.state} task ${spec.id} has no deadline`);
    if (life.state === 'in_progress') {
      inProgress++;
      const { collector, collectorId } = life;
      const known = collector === undefined || collector.tasks.get(spec.id) === task;
      assert(known, `I4: ${collectorId} does not know that it holds ${spec.id}`);
      const here = collector === undefined || state.collectors.get(collectorId) === collector;
      assert(here, `I4: ${spec.id} is held by ${collectorId}, which has gone`);
      continue;
    }
    waiting++;
    bytes += spec.payload.length;
    if (life.state !== 'pending') continue;
    const heap = task.class?.pending.get(spec.priority);
    assert(heap?.has(task) === true, `I3: pending task ${spec.id} is not in its queue`);
  }
  const { operations } = state;
  assert.equal(operations.waiting, waiting, 'the gauge of waiting tasks');
  assert.equal(operations.waitingBytes, bytes, 'the gauge of waiting bytes');
  assert.equal(operations.inProgress, inProgress, 'the gauge of tasks in progress');
  for (const gauge of ['high', 'normal', 'low', 'retrying', 'inProgress'] as const) {
    let sum = 0;
    for (const operation of operations.byName.values()) sum += operation[gauge];
    const real = [...state.tasks.values()].filter(({ life, spec }) =>
      life.state === 'pending'
        ? gauge === (spec.priority > 199 ? 'high' : spec.priority > 99 ? 'normal' : 'low')
        : gauge === (life.state === 'retrying' ? 'retrying' : 'inProgress'),
    );
    assert.equal(sum, real.length, `the gauge ${gauge}`);
  }
}

function checkQueues(state: CoreState): void {
  let queued = 0;
  for (const cls of state.classes.byKey.values()) {
    queued += cls.size;
    assert.equal(cls.size === 0, state.classes.empty.has(cls), `class ${cls.key} is filed as empty`);
    const fitting = [...state.collectors.values()].filter((collector) => mismatch(collector, cls) === undefined);
    const paired = cls.pairings.map(({ collector }) => collector);
    assert.deepEqual(new Set(paired), new Set(fitting), `the collectors of class ${cls.key}`);
    if (state.stopping || state.frozen || state.unfinished) continue;
    for (const pairing of cls.pairings) {
      const { collector } = pairing;
      const best = bestFor(collector, cls);
      if (best === undefined) continue;
      for (const level of cls.levels)
        assert(
          refusal(collector, cls, level, state.limits) !== undefined,
          `I7: ${collector.id} has credit while ${cls.key} waits at ${level}`,
        );
      const offered =
        pairing.index !== -1 &&
        (pairing.priority > best.spec.priority || (pairing.priority === best.spec.priority && pairing.seq <= best.seq));
      assert(offered, `I7: ${collector.id} would not find ${best.spec.id} when it has credit`);
    }
  }
  const pending = [...state.operations.byName.values()].reduce((sum, operation) => sum + pendingOf(operation), 0);
  assert.equal(queued, pending, 'I3: every pending task is queued once');
}

function checkCollectors(state: CoreState): void {
  for (const collector of state.collectors.values()) {
    for (const task of collector.tasks.values()) {
      const held = task.life.state === 'in_progress' && task.life.collector === collector;
      assert(held, `I4: ${collector.id} holds ${task.spec.id}, which is ${task.life.state}`);
    }
    const limit = Math.min(collector.registration.max_concurrent_tasks, state.limits.collectorTasksMax);
    const most = Math.max(limit, collector.heldAtRegistration);
    assert(collector.tasks.size <= most, `I6: ${collector.id} holds ${collector.tasks.size} of ${limit}`);
    assert.equal(state.collectorOfSession.get(collector.session), collector, `I4: the session of ${collector.id}`);
  }
}

/** I6: everything that can grow is bounded and what is dropped is dropped everywhere. */
function checkBounds({ classes, operations, ended, waits, limits, ...state }: CoreState): void {
  assert(classes.empty.size <= limits.classesMax, 'I6: empty classes');
  const { byName, idle } = operations;
  assert(byName.size <= limits.operationsMax || idle.size === 0, 'I6: idle operations');
  for (const operation of byName.values())
    assert.equal(
      idle.has(operation),
      liveOf(operation) === 0 && operation.strategy === undefined,
      `I6: ${operation.name} is filed as idle`,
    );
  assert.equal(ended.ids.length - ended.first, ended.states.size, 'I6: the queue of ended ids');
  assert(ended.lookUps.size > 0 || ended.states.size <= limits.endedIdsMax, 'I6: ended ids');
  assert(ended.ahead.size <= limits.idsAheadMax, 'I6: ids from ahead of the clock');
  let open = 0;
  for (const [session, own] of waits.bySession) {
    assert(own.size > 0 && own.size <= limits.waitsMax, `I6: session ${session} has ${own.size} waits`);
    open += own.size;
  }
  let ofTasks = 0;
  for (const [id, own] of waits.byTask) {
    assert(own.size > 0 && state.tasks.has(id), `I6: waits for ${id}, which has ended`);
    ofTasks += own.size;
  }
  assert(open === waits.count && ofTasks === waits.count, 'I6: the waits of sessions and tasks');
}
