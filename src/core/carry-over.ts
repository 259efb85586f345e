/** What a core holds of its sessions, as inputs for the core that replaces it. */
import type { Now } from '../time/now.ts';
import type { Input } from './input.ts';
import type { CoreState } from './state.ts';

/** The request id of these inputs. No client made such a request, so the reply is dropped. */
export const noRequest = 0;

/**
 * Collectors register again with the leases they hold, and open waits go on. One that was given no tasks is given none
 * here either: it counts as stopped until it reports again.
 */
export function carryOver(old: CoreState, now: Now): Input[] {
  const inputs: Input[] = old.stopping ? [{ kind: 'stop' }] : [];
  for (const [session, bytes] of old.unread) inputs.push({ kind: 'unread', session, bytes });
  for (const { session, unreadBytes: bytes } of old.collectors.values())
    if (bytes > 0) inputs.push({ kind: 'unread', session, bytes });
  for (const { registration, session, tasks, status, reason } of old.collectors.values()) {
    const leases = [...tasks.values()].map(({ spec, token }) => ({ task_id: spec.id, token }));
    const reported = status === 'healthy' || status === 'degraded' ? status : 'stopped';
    const carried = { ...registration, leases, status: reported, status_reason: reason } as const;
    inputs.push({ kind: 'register', to: { session, id: noRequest }, registration: carried });
  }
  for (const { session } of old.draining)
    inputs.push({ kind: 'deregister', to: { session, id: noRequest }, force: false, reason: 'draining' });
  for (const waits of old.waits.bySession.values())
    for (const { to, taskId, include, dueMs } of waits.values())
      inputs.push({ kind: 'wait', to, id: taskId, include, timeoutMs: Math.max(1, dueMs - now.monotonicMs) });
  return inputs;
}
