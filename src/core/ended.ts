/**
 * The latest ended tasks, id to state, in bounded memory, so that a repeated submit is answered without the store. Ids
 * that have left it are looked up in the store before their input is stepped (`prefetch.ts`); when such a look-up is
 * needed follows from the id's time:
 *
 *   - at or before the horizon: it may be an id that has left memory;
 *   - among the few ids that were made ahead of the clock and have left memory: it is one.
 *
 * What ended while a look-up was under way stays until that look-up has been stepped, so nothing falls between.
 */
import type { Limits } from '../protocol/limits.ts';
import type { TaskState } from '../protocol/state.ts';
import { uuidTimeMs } from '../protocol/uuid-time.ts';

export interface Ended {
  readonly states: Map<string, { readonly state: TaskState; readonly order: number }>;
  /**
   * Their ids from `first` on, the oldest first. A Map is no queue: iterating one from its front visits the holes that
   * deletions left there.
   */
  readonly ids: string[];
  first: number;
  /** How many have ended since the start. */
  count: number;
  /** An id whose time is not after this may belong to an ended task that is not in `states`. */
  horizonMs: number;
  /** Ids from ahead of the clock that are no longer in `states`. Beyond `idsAheadMax` the horizon itself moves ahead. */
  readonly ahead: Set<string>;
  /** Look-ups under way, by the count when they began; the first is the oldest. */
  readonly lookUps: Set<{ readonly since: number }>;
}

type EndedLimits = Pick<Limits, 'endedIdsMax' | 'idsAheadMax'>;

export const newEnded = (): Ended => ({
  states: new Map(),
  ids: [],
  first: 0,
  count: 0,
  horizonMs: 0,
  ahead: new Set(),
  lookUps: new Set(),
});

/** Notes the ids that the store holds from before the start: the newest that was not ahead of the clock, and those that were. */
export function rememberStored(
  ended: Ended,
  newestId: string | undefined,
  idsAhead: readonly string[],
  limits: EndedLimits,
): void {
  // Whatever the clock shows by now: it may have been set back since the store was read.
  if (newestId !== undefined) ended.horizonMs = uuidTimeMs(newestId);
  for (const id of idsAhead) moveAhead(ended, id, limits);
}

export function rememberEnded(ended: Ended, id: string, state: TaskState, limits: EndedLimits, wallMs: number): void {
  ended.states.set(id, { state, order: ++ended.count });
  ended.ids.push(id);
  evictEnded(ended, limits, wallMs);
}

/** Drops the oldest beyond the limit, but for those that ended during a look-up. */
export function evictEnded(ended: Ended, limits: EndedLimits, wallMs: number): void {
  const { states, ids } = ended;
  const [oldest] = ended.lookUps;
  while (states.size > limits.endedIdsMax) {
    const old = ids[ended.first]!;
    if (oldest !== undefined && states.get(old)!.order > oldest.since) break;
    ended.first++;
    states.delete(old);
    const timeMs = uuidTimeMs(old);
    if (timeMs > wallMs) moveAhead(ended, old, limits);
    else ended.horizonMs = Math.max(ended.horizonMs, timeMs);
  }
  if (ended.first <= states.size) return;
  ids.splice(0, ended.first);
  ended.first = 0;
}

function moveAhead(ended: Ended, id: string, { idsAheadMax }: EndedLimits): void {
  ended.ahead.add(id);
  if (ended.ahead.size <= idsAheadMax) return;
  for (const one of ended.ahead) ended.horizonMs = Math.max(ended.horizonMs, uuidTimeMs(one));
  ended.ahead.clear();
}

/** Whether only the store knows if a task with this id has ended. */
export const mayHaveLeft = (ended: Ended, id: string): boolean =>
  !ended.states.has(id) && (uuidTimeMs(id) <= ended.horizonMs || ended.ahead.has(id));
