/** Collectors that fall silent. A heartbeat counts as missed when it is a tenth of the interval late. */
import type { Limits } from '../protocol/limits.ts';
import type { Now } from '../time/now.ts';
import { loseAttempt } from './attempt.ts';
import type { Collector } from './collector.ts';
import type { Output } from './input.ts';
import { isInProgress } from './lease.ts';
import type { CoreState } from './state.ts';
import { setStatus } from './status.ts';

/** The moment at which so many heartbeats are missed. */
const missedAtMs = ({ active }: Collector, missed: number, { heartbeatMs }: Limits): number =>
  active.monotonicMs + missed * heartbeatMs + heartbeatMs / 10;

/** Called when a collector was active: the next thing is that it misses a heartbeat. */
export function armSilence({ deadlines, limits }: CoreState, collector: Collector): void {
  deadlines.set(collector, missedAtMs(collector, 1, limits));
}

/** After one missed heartbeat the collector is degraded; after two it is failing and its tasks are given to others. */
export function silenceDue(state: CoreState, collector: Collector, now: Now, out: Output[]): void {
  // Compared to the very number that was armed: fractions of a millisecond do not add up the same in another order.
  const secondAtMs = missedAtMs(collector, 2, state.limits);
  if (now.monotonicMs < secondAtMs) {
    if (collector.status === 'healthy') setStatus(collector, 'degraded', 'one heartbeat missed', now, out);
    state.deadlines.set(collector, secondAtMs);
    return;
  }
  const silentMs = now.monotonicMs - collector.active.monotonicMs;
  if (collector.status !== 'draining')
    setStatus(collector, 'failing', `no heartbeat for ${Math.round(silentMs / 1000)} s`, now, out);
  const message = `Collector ${collector.id} missed two heartbeats.`;
  for (const task of [...collector.tasks.values()])
    if (isInProgress(task)) loseAttempt(state, task, 'collector_silent', message, now, out);
}
