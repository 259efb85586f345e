/** A registered collector: what it can do, how it is, what it holds. Its indexes into the task classes are derived. */

import { limitTable } from '../protocol/limits.ts';
import type { CollectorRegisterParsed, collectorStatuses } from '../protocol/schema.ts';
import type { Due } from '../time/deadlines.ts';
import type { TaskClass } from './queue.ts';
import type { Task } from './task.ts';

export type CollectorStatus = (typeof collectorStatuses)[number];

export interface Collector extends Due {
  readonly due: 'collector';
  readonly id: string;
  /** The session it speaks through. */
  readonly session: number;
  offer: CollectorRegisterParsed;
  status: CollectorStatus;
  reason: string;
  statusChangedAtMs: number;
  lastHeartbeatAtMs: number;
  cpuPercent: number | undefined;
  rssBytes: number | undefined;
  readonly tasks: Map<string, Task>;
  /** When it last became free of work or got a task; the longest idle wins a tie. */
  lastAssignedAtMs: number;
  completed: number;
  failed: number;
  /** Derived: the classes it can serve. */
  readonly classes: Set<TaskClass>;
}

export const assignmentTopic = (collector: Collector): string =>
  `control.tasks.${collector.offer.collector_type}.${collector.id}`;

const usable: ReadonlySet<CollectorStatus> = new Set(['healthy', 'degraded']);

/** How many more tasks it may be given now. */
export function credit(collector: Collector, collectorTasksMax: number = limitTable.collectorTasksMax.value): number {
  if (!usable.has(collector.status)) return 0;
  return Math.min(collector.offer.max_concurrent_tasks, collectorTasksMax) - collector.tasks.size;
}

export const acceptsPriority = (collector: Collector, priority: number): boolean =>
  collector.offer.priority_levels.some(([low, high]) => priority >= low && priority <= high);

/** Confidence in it, 0 to 1: health (1, 0.5, else 0) times freshness (0.1 once older than `timeoutMs`, else 1 − age ÷ timeout, at least 0.5). */
export function confidence(collector: Collector, nowMs: number, timeoutMs: number): number {
  const health = collector.status === 'healthy' ? 1 : collector.status === 'degraded' ? 0.5 : 0;
  const age = Math.max(0, nowMs - collector.lastHeartbeatAtMs);
  const freshness = age > timeoutMs ? 0.1 : Math.max(0.5, 1 - age / timeoutMs);
  return health * freshness;
}
