/** The state as it was stored. In-progress tasks wait a grace for their collectors to reclaim them. */
import type { Now } from '../time/now.ts';
import { queueTask } from './dispatch.ts';
import { rememberStored } from './ended.ts';
import { countTask, fileOperation, operationOf } from './operation.ts';
import { placements } from './placement.ts';
import type { StoredTask } from './record.ts';
import type { CoreState } from './state.ts';
import { newTask } from './task.ts';

/** What the core needs of the store at the start. */
export interface StoredState {
  /** Every task that has not ended, in order of acceptance. */
  readonly tasks: Iterable<StoredTask>;
  readonly settings: ReadonlyMap<string, string>;
  /** Larger than any `seq` ever committed. */
  readonly nextSeq: number;
  /** No new task may have an id whose time is before this. */
  readonly expiredBeforeMs: number;
  /**
   * The greatest id that is stored and whose time is not ahead of the clock, and the ids that are ahead of it; where
   * these are too many, the greatest of them all, and none.
   */
  readonly newestId: string | undefined;
  readonly idsAhead: readonly string[];
}

export const strategyKey = 'routing.strategy';

export function recover(state: CoreState, stored: StoredState, now: Now): void {
  state.nextSeq = stored.nextSeq;
  state.expiredBeforeMs = stored.expiredBeforeMs;
  rememberStored(state.ended, stored.newestId, stored.idsAhead, state.limits);
  for (const [key, value] of stored.settings) recoverSetting(state, key, value);
  for (const task of stored.tasks) recoverTask(state, task, now);
}

function recoverSetting(state: CoreState, key: string, value: string): void {
  if (!placements.has(value)) return; // written by a version that had more of them
  if (key === strategyKey) state.strategy = value;
  else if (key.startsWith(`${strategyKey}.`)) {
    const operation = operationOf(state.operations, key.slice(strategyKey.length + 1));
    operation.strategy = value;
    fileOperation(state.operations, operation);
  }
}

function recoverTask(state: CoreState, stored: StoredTask, now: Now): void {
  const { spec } = stored;
  const task = newTask(stored);
  state.tasks.set(spec.id, task);
  if (stored.state === 'retrying') {
    // The wall clock may have been anywhere when this was written: never longer than the span it was made from.
    const delayMs = stored.delayMs ?? 0;
    const leftMs = Math.max(0, Math.min((stored.readyAtMs ?? 0) - now.wallMs, delayMs));
    task.life = { state: 'retrying', readyAtMs: now.wallMs + leftMs, delayMs };
    state.deadlines.set(task, now.monotonicMs + leftMs);
  } else if (stored.state === 'in_progress') {
    const leaseEndsAtMs = now.monotonicMs + state.limits.reclaimGraceMs;
    task.life = {
      state: 'in_progress',
      collector: undefined,
      collectorId: stored.collectorId ?? '',
      startedAtMs: stored.atMs,
      strategy: undefined,
      timeoutAtMs: now.monotonicMs + spec.timeoutMs,
      leaseEndsAtMs,
      cancelSentAtMs: undefined,
    };
    state.deadlines.set(task, leaseEndsAtMs);
  } else return queueTask(state, task);
  countTask(state.operations, task, 1);
}
