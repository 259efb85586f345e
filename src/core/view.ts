/** What the core shows of itself: plain values in the shapes of the message table. */
import type { CollectorView, QueueView, RoutingView } from '../protocol/schema.ts';
import { type Collector, confidence } from './collector.ts';
import type { CoreState } from './state.ts';
import { servable } from './submit.ts';

export function routingView(state: CoreState): RoutingView {
  return {
    strategy: state.strategy,
    per_operation: Object.fromEntries(state.strategyByOperation),
    decisions: Object.fromEntries(state.decisionsByStrategy),
    by_collector: Object.fromEntries(state.decisionsByCollector),
  };
}

export function collectorView(state: CoreState, collector: Collector, nowMs: number): CollectorView {
  const { offer } = collector;
  return {
    collector_id: collector.id,
    collector_type: offer.collector_type,
    version: offer.version,
    hostname: offer.hostname,
    pid: offer.pid,
    operations: offer.operations.map(({ name }) => name),
    capabilities: offer.capabilities,
    labels: offer.labels,
    metadata: offer.metadata,
    status: collector.status,
    status_reason: collector.reason,
    status_changed_at_ms: collector.statusChangedAtMs,
    tasks: collector.tasks.size,
    max_concurrent_tasks: offer.max_concurrent_tasks,
    completed: collector.completed,
    failed: collector.failed,
    last_heartbeat_at_ms: collector.lastHeartbeatAtMs,
    ...(collector.cpuPercent === undefined ? {} : { cpu_percent: collector.cpuPercent }),
    ...(collector.rssBytes === undefined ? {} : { rss_bytes: collector.rssBytes }),
    confidence: confidence(collector, nowMs, 2 * state.limits.heartbeatMs),
    supervised: false,
  };
}

export function collectorViews(state: CoreState, nowMs: number): CollectorView[] {
  return [...state.collectors.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((collector) => collectorView(state, collector, nowMs));
}

/** One row per operation that has been seen since the start. */
export function queueViews(state: CoreState): QueueView[] {
  const oldest = new Map<string, number>();
  const unservable = new Set<string>();
  for (const cls of state.classes.values()) {
    for (const level of cls.levels) {
      const first = cls.pending.get(level)![0]!;
      oldest.set(cls.operation, Math.min(first.submittedAtMs, oldest.get(cls.operation) ?? Number.POSITIVE_INFINITY));
      if (!servable(cls, level)) unservable.add(cls.operation);
    }
  }
  return [...state.operations]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([operation, counts]) => ({
      operation,
      pending: counts.high + counts.normal + counts.low,
      high: counts.high,
      normal: counts.normal,
      low: counts.low,
      retrying: counts.retrying,
      in_progress: counts.inProgress,
      completed: counts.completed,
      failed: counts.failed,
      dead_letter: counts.deadLetter,
      ...(oldest.has(operation) ? { oldest_at_ms: oldest.get(operation)! } : {}),
      ...(unservable.has(operation) ? { warning: 'no_capable_collector' as const } : {}),
    }));
}
