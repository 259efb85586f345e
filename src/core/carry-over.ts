/** What sessions have told a core, as inputs for the one that replaces it. */
import type { Now } from '../time/now.ts';
import type { Input } from './input.ts';
import type { CoreState } from './state.ts';

/** The id of a request that nobody made: its reply goes nowhere. */
export const noRequest = 0;

/** Collectors register again with the leases they hold, and open waits go on. */
export function carryOver(old: CoreState, now: Now): Input[] {
  const inputs: Input[] = [];
  for (const { registration, session, tasks, status, reason } of old.collectors.values()) {
    const leases = [...tasks.values()].map(({ spec, token }) => ({ task_id: spec.id, token }));
    const reported = status === 'degraded' || status === 'stopped' ? status : 'healthy';
    const kept = { ...registration, leases, status: reported, status_reason: reason } as const;
    inputs.push({ kind: 'register', to: { session, id: noRequest }, registration: kept });
  }
  for (const { session } of old.draining)
    inputs.push({ kind: 'deregister', to: { session, id: noRequest }, force: false, reason: 'draining' });
  for (const waits of old.waits.bySession.values())
    for (const { to, taskId, include, dueMs } of waits.values())
      inputs.push({ kind: 'wait', to, id: taskId, include, timeoutMs: Math.max(1, dueMs - now.monotonicMs) });
  if (old.stopping) inputs.push({ kind: 'stop' });
  return inputs;
}
