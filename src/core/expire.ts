/**
 * Retention deletes what the store found to be too old or too much. The mark that tells ids of deleted tasks from new ones
 * rises in the same step and the same commit, so no submit can find the task gone and its id new.
 */
import type { Now } from '../time/now.ts';
import type { Input, Output } from './input.ts';
import type { CoreState } from './state.ts';

/** A slice of what retention deletes. */
export interface Expired {
  /** Ended tasks, by `seq`, that are deleted whole. */
  readonly tasks: readonly number[];
  /** Ended tasks, by `seq`, that lose their bodies. */
  readonly bodies: readonly number[];
  /** Later than the time of every id among the tasks, but for those that are ahead of the clock. */
  readonly beforeMs: number;
}

export function expire(
  state: CoreState,
  { expired: { tasks, bodies, beforeMs }, run }: Extract<Input, { kind: 'expire' }>,
  _now: Now,
  out: Output[],
): void {
  if (beforeMs > state.expiredBeforeMs) {
    state.expiredBeforeMs = beforeMs;
    out.push({ kind: 'record', record: { kind: 'expired', beforeMs } });
  }
  if (tasks.length > 0) out.push({ kind: 'record', record: { kind: 'purged', seqs: tasks } });
  if (bodies.length > 0) out.push({ kind: 'record', record: { kind: 'trimmed', seqs: bodies } });
  out.push({ kind: 'settled', run });
}
