/** What the core shows of itself: plain values in the shapes of the message table. */
import type { CollectorView } from '../protocol/collector-schema.ts';
import type { QueueView, RoutingView } from '../protocol/view-schema.ts';
import type { Now } from '../time/now.ts';
import { type Collector, confidence } from './collector.ts';
import { liveOf, type Operation, pendingOf } from './operation.ts';
import { isServable } from './pairing.ts';
import { placements } from './placement.ts';
import type { CoreState } from './state.ts';

export function routingView(state: CoreState): RoutingView {
  // Maps, since an operation or a collector may be called "constructor".
  const own = new Map<string, string>();
  for (const { name, strategy } of state.operations.byName.values())
    if (strategy !== undefined) own.set(name, strategy);
  return {
    strategy: state.strategy,
    per_operation: Object.fromEntries(own),
    strategies: Object.fromEntries([...placements].map(([name, { summary }]) => [name, summary])),
    decisions: Object.fromEntries(state.decisions),
    by_collector: Object.fromEntries([...state.collectors.values()].map(({ id, assigned }) => [id, assigned])),
    plans_dropped: state.plansDropped,
  };
}

export function collectorView(state: CoreState, collector: Collector, now: Now): CollectorView {
  const { registration, cpuPercent, rssBytes } = collector;
  return {
    collector_id: collector.id,
    collector_type: registration.collector_type,
    version: registration.version,
    hostname: registration.hostname,
    pid: registration.pid,
    operations: registration.operations.map(({ name }) => name),
    capabilities: registration.capabilities,
    labels: registration.labels,
    metadata: registration.metadata,
    weight: registration.weight,
    status: collector.status,
    status_reason: collector.reason,
    status_changed_at_ms: collector.statusChangedAtMs,
    tasks_in_progress: collector.tasks.size,
    max_concurrent_tasks: registration.max_concurrent_tasks,
    completed: collector.completed,
    failed: collector.failed,
    last_heartbeat_at_ms: collector.active.wallMs,
    ...(cpuPercent === undefined ? {} : { cpu_percent: cpuPercent }),
    ...(rssBytes === undefined ? {} : { rss_bytes: rssBytes }),
    confidence: confidence(collector, now.monotonicMs, 2 * state.limits.heartbeatMs),
    supervised: false,
  };
}

export function collectorViews(state: CoreState, now: Now): CollectorView[] {
  return [...state.collectors.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((collector) => collectorView(state, collector, now));
}

/** The busiest operations first in line, then the names; at most `snapshotRowsMax`, by name. */
export function queueViews(state: CoreState): QueueView[] {
  const all = [...state.operations.byName.values()];
  const { snapshotRowsMax } = state.limits;
  const shown =
    all.length <= snapshotRowsMax ? all : all.sort((a, b) => liveOf(b) - liveOf(a)).slice(0, snapshotRowsMax);
  return shown.sort((a, b) => (a.name < b.name ? -1 : 1)).map(queueView);
}

function queueView(operation: Operation): QueueView {
  const { name, high, normal, low, retrying, inProgress, completed, failed, deadLetter } = operation;
  let oldestAtMs = Number.POSITIVE_INFINITY;
  let servable = true;
  for (const cls of operation.classes)
    for (const level of cls.levels) {
      oldestAtMs = Math.min(oldestAtMs, cls.pending.get(level)!.first!.submittedAtMs);
      servable &&= isServable(cls, level);
    }
  return {
    operation: name,
    pending: pendingOf(operation),
    high,
    normal,
    low,
    retrying,
    in_progress: inProgress,
    completed,
    failed,
    dead_letter: deadLetter,
    ...(oldestAtMs === Number.POSITIVE_INFINITY ? {} : { oldest_at_ms: oldestAtMs }),
    unservable: !servable,
  };
}
