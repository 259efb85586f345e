/** Collectors that fall silent. A heartbeat counts as missed when it is a tenth of the interval late. */
import type { Now } from '../time/now.ts';
import { loseAttempt } from './attempt.ts';
import type { Collector } from './collector.ts';
import type { Output } from './input.ts';
import { isInProgress } from './lease.ts';
import type { CoreState } from './state.ts';
import { setStatus } from './status.ts';

/** Sets the moment at which so many heartbeats are missed. */
export function armSilence(state: CoreState, collector: Collector, missed = 1): void {
  const { heartbeatMs } = state.limits;
  state.deadlines.set(collector, collector.active.monotonicMs + missed * heartbeatMs + heartbeatMs / 10);
}

/** After one missed heartbeat the collector is degraded; after two it is failing and its tasks are given to others. */
export function silenceDue(state: CoreState, collector: Collector, now: Now, out: Output[]): void {
  const { heartbeatMs } = state.limits;
  const silentMs = now.monotonicMs - collector.active.monotonicMs;
  const missed = Math.floor((silentMs - heartbeatMs / 10) / heartbeatMs);
  if (missed < 2) {
    if (missed === 1 && collector.status === 'healthy')
      setStatus(collector, 'degraded', 'one heartbeat missed', now, out);
    armSilence(state, collector, missed + 1);
    return;
  }
  if (collector.status !== 'draining')
    setStatus(collector, 'failing', `no heartbeat for ${Math.round(silentMs / 1000)} s`, now, out);
  const message = `Collector ${collector.id} missed two heartbeats.`;
  for (const task of [...collector.tasks.values()])
    if (isInProgress(task)) loseAttempt(state, task, 'collector_silent', message, now, out);
}
