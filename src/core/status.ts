/** The one status of a collector, and the change of it. */
import type { Now } from '../time/now.ts';
import type { Collector, CollectorStatus } from './collector.ts';
import type { Output } from './input.ts';

export function setStatus(
  collector: Collector,
  status: CollectorStatus,
  reason: string,
  now: Now,
  out: Output[],
): void {
  collector.reason = reason;
  if (collector.status === status) return;
  collector.status = status;
  collector.statusChangedAtMs = now.wallMs;
  changed(collector, status, reason, out);
}

export function changed(collector: Collector, status: CollectorStatus | 'gone', reason: string, out: Output[]): void {
  const { id, registration } = collector;
  out.push({ kind: 'collector_changed', id, type: registration.collector_type, status, reason });
}
