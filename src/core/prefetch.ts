/**
 * What an input needs from the store before it can be stepped. The core cannot read the store: the turn calls `prefetch`, looks
 * the ids up, holds the session's later inputs back meanwhile, and steps the input with the facts it found.
 */

import { isFault } from '../protocol/fault.ts';
import type { TaskState } from '../protocol/state.ts';
import { mayHaveLeft } from './ended.ts';
import type { Input } from './input.ts';
import type { CoreState } from './state.ts';

/** What the store knows of the ids that were asked for. */
export interface Facts {
  readonly ended: ReadonlyMap<string, TaskState>;
}

export const noFacts: Facts = { ended: new Map() };

export interface Prefetch extends Disposable {
  readonly ids: readonly string[];
}

/** Holds what memory knows of the ids of a submit, from when it comes in until it is stepped. */
export interface Recall extends Disposable {
  readonly facts: Facts;
}

/**
 * Inputs before it may push out of memory what would make this one a duplicate: what has ended is noted, and what ends
 * from now on stays. Dispose it when the input has been stepped.
 */
export function recall(state: CoreState, input: Input): Recall | undefined {
  if (input.kind !== 'submit') return undefined;
  const { ended } = state;
  let known: Map<string, TaskState> | undefined;
  for (const spec of input.specs) {
    const found = isFault(spec) ? undefined : ended.states.get(spec.id);
    if (found === undefined || isFault(spec)) continue;
    known ??= new Map();
    known.set(spec.id, found.state);
  }
  const since = { since: ended.count };
  ended.lookUps.add(since);
  return {
    facts: known === undefined ? noFacts : { ended: known },
    [Symbol.dispose]: () => void ended.lookUps.delete(since),
  };
}

/** The look-up that the input needs, or undefined. Dispose it when the input has been stepped. */
export function prefetch(state: CoreState, input: Input): Prefetch | undefined {
  if (input.kind !== 'submit') return undefined;
  const { ended, tasks } = state;
  let ids: string[] | undefined;
  for (const spec of input.specs) {
    if (isFault(spec) || tasks.has(spec.id) || !mayHaveLeft(ended, spec.id)) continue;
    ids ??= [];
    ids.push(spec.id);
  }
  if (ids === undefined) return undefined;
  const lookUp = { since: ended.count };
  ended.lookUps.add(lookUp);
  return { ids, [Symbol.dispose]: () => void ended.lookUps.delete(lookUp) };
}
