/** Whether a task went where the strategy says, worked out anew from the state after the step. */
import assert from 'node:assert/strict';
import type { Collector } from '../../src/core/collector.ts';
import type { Output } from '../../src/core/input.ts';
import { couldServe, refusal } from '../../src/core/match.ts';
import type { CoreState } from '../../src/core/state.ts';
import type { Task } from '../../src/core/task.ts';

/** Steps with one assignment are enough, and can be judged: nothing was handed out or freed after it. */
export function checkPlacement(
  state: CoreState,
  lastAssigned: ReadonlyMap<string, number>,
  out: readonly Output[],
  first: number,
): void {
  let assigned: Extract<Output, { kind: 'assign' }> | undefined;
  let strategy: string | undefined;
  for (let at = first; at < out.length; at++) {
    const output = out[at]!;
    if (output.kind === 'assign') {
      if (assigned !== undefined) return;
      assigned = output;
    } else if (assigned === undefined) continue;
    else if (output.kind === 'record' && output.record.kind === 'attempt') return;
    else if (output.kind === 'collector_changed') return;
    else if (output.kind === 'task_moved' && output.state === 'in_progress') strategy ??= output.strategy;
  }
  const task = assigned && state.tasks.get(assigned.spec.id);
  const chosen = assigned && state.collectorOfSession.get(assigned.session);
  if (task?.class === undefined || chosen === undefined || strategy === undefined) return;
  assert(couldServe(chosen, task.class, task.spec.priority), `${chosen.id} cannot do ${task.spec.id}`);
  for (const other of state.collectors.values())
    if (other !== chosen && isCandidate(state, other, task)) compare(strategy, chosen, other, lastAssigned, task);
}

const isCandidate = (state: CoreState, other: Collector, { class: cls, spec }: Task): boolean =>
  cls !== undefined && refusal(other, cls, spec.priority, state.limits) === undefined;

function compare(
  strategy: string,
  chosen: Collector,
  other: Collector,
  lastAssigned: ReadonlyMap<string, number>,
  { spec }: Task,
): void {
  const where = `${spec.id} went to ${chosen.id} beside ${other.id}`;
  if (chosen.status !== other.status) {
    assert.equal(chosen.status, 'healthy', `${where}, which is healthy`);
    return;
  }
  const held = chosen.tasks.size - 1;
  const longer = (lastAssigned.get(chosen.id) ?? 0) - (lastAssigned.get(other.id) ?? 0);
  if (strategy === 'least_loaded') {
    assert(held <= other.tasks.size, `least_loaded: ${where}, which holds less`);
    assert(held < other.tasks.size || longer <= 0, `least_loaded: ${where}, which was given one longer ago`);
  } else if (strategy === 'first_available') assert(chosen.id < other.id, `first_available: ${where}`);
  else if (strategy === 'weighted') {
    const value = chosen.registration.weight / (held + 1);
    const otherValue = other.registration.weight / (other.tasks.size + 1);
    assert(value >= otherValue, `weighted: ${where}, which weighs more`);
  }
}
