/** What must hold after every step; see deye-design(7). Throws with the name of the broken one. */
import assert from 'node:assert/strict';
import { acceptsPriority, credit } from './collector.ts';
import { canServe } from './queue.ts';
import type { CoreState } from './state.ts';
import { isTerminal } from './task.ts';

export function checkInvariants(state: CoreState): void {
  let waiting = 0;
  let inProgress = 0;
  let pending = 0;
  for (const task of state.tasks.values()) {
    const { phase, spec } = task;
    assert(!isTerminal(phase.state), `I3: ended task ${spec.id} is still among the live ones`);
    assert(!state.ended.has(spec.id), `I3: task ${spec.id} is live and ended`);
    assert(
      task.attempt <= spec.maxRetries + 1,
      `I5: task ${spec.id} had ${task.attempt} attempts of ${spec.maxRetries + 1}`,
    );
    if (phase.state === 'in_progress') {
      inProgress++;
      if (phase.collector !== undefined)
        assert(
          phase.collector.tasks.get(spec.id) === task,
          `I4: ${phase.collectorId} does not know that it holds ${spec.id}`,
        );
      assert(task.dueIndex !== -1, `I7: in-progress task ${spec.id} has no deadline`);
    } else waiting++;
    if (phase.state === 'retrying') assert(task.dueIndex !== -1, `I7: retrying task ${spec.id} has no deadline`);
    if (phase.state === 'pending') {
      pending++;
      assert(
        task.class.pending.get(spec.priority)?.[task.pendingIndex] === task,
        `I3: pending task ${spec.id} is not in its queue`,
      );
    }
  }
  assert.equal(state.waiting, waiting, 'the gauge of waiting tasks');
  assert.equal(state.inProgress, inProgress, 'the gauge of tasks in progress');
  let queued = 0;
  for (const cls of state.classes.values()) {
    queued += cls.size;
    const able = [...state.collectors.values()].filter((collector) => canServe(collector, cls));
    assert.deepEqual(new Set(cls.collectors), new Set(able), `the collectors of class ${cls.key}`);
    if (state.stopping) continue;
    for (const level of cls.levels)
      for (const collector of cls.collectors)
        assert(
          !(credit(collector, state.limits.collectorTasksMax) > 0 && acceptsPriority(collector, level)),
          `I7: ${collector.id} has credit while ${cls.key} waits at ${level}`,
        );
  }
  assert.equal(queued, pending, 'I3: every pending task is queued once');
  let held = 0;
  for (const collector of state.collectors.values()) {
    held += collector.tasks.size;
    for (const task of collector.tasks.values())
      assert(
        task.phase.state === 'in_progress' && task.phase.collector === collector,
        `I4: ${collector.id} holds ${task.spec.id}, which is ${task.phase.state}`,
      );
  }
  assert(held <= inProgress, 'I4: collectors hold more than is in progress');
}
