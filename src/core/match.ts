/**
 * Whether a collector can take a task, and if not, why: one predicate, used by dispatch, by the pairings, by calls to
 * `any:`, by the submit's warning, by the reason that a task waits for, and by the invariants.
 */
import type { Limits } from '../protocol/limits.ts';
import type { Collector, CollectorStatus } from './collector.ts';

/** What a task requires of its collector; a task class has it, and so has a call to `any:OPERATION`. */
export interface Demand {
  readonly operation: { readonly name: string };
  readonly requires: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly collectorType: string | undefined;
  readonly collectorId: string | undefined;
  readonly excluded: readonly string[];
}

/** Reasons that only another registration lifts. */
type Mismatch = 'operation' | 'collector_type' | 'collector_id' | 'capability' | 'label' | 'excluded';
/** Reasons that time alone may lift. */
type Unavailable = 'status' | 'credit' | 'unread';
export type Reason = Mismatch | 'priority' | Unavailable;

const usable: ReadonlySet<CollectorStatus> = new Set(['healthy', 'degraded']);

/** Why the collector could never take such a task at any priority, or undefined. */
export function mismatch({ id, registration }: Collector, demand: Demand): Mismatch | undefined {
  const { operations, collector_type, capabilities, labels } = registration;
  if (!operations.some(({ name }) => name === demand.operation.name)) return 'operation';
  if (demand.collectorType !== undefined && demand.collectorType !== collector_type) return 'collector_type';
  if (demand.collectorId !== undefined && demand.collectorId !== id) return 'collector_id';
  if (!demand.requires.every((need) => capabilities.includes(need))) return 'capability';
  for (const name in demand.labels)
    if (!Object.hasOwn(labels, name) || labels[name] !== demand.labels[name]) return 'label';
  return demand.excluded.includes(id) ? 'excluded' : undefined;
}

export const acceptsPriority = ({ registration }: Collector, priority: number): boolean =>
  registration.priority_levels.some(([low, high]) => priority >= low && priority <= high);

/** Why a collector that fits takes nothing now, or undefined. */
export function unavailable(collector: Collector, limits: Limits): Unavailable | undefined {
  const { registration, tasks } = collector;
  if (!usable.has(collector.status)) return 'status';
  if (tasks.size >= Math.min(registration.max_concurrent_tasks, limits.collectorTasksMax)) return 'credit';
  return collector.unreadBytes > limits.outboundBytesMax ? 'unread' : undefined;
}

/** Why the collector cannot take such a task of this priority now, or undefined when it can. */
export const refusal = (collector: Collector, demand: Demand, priority: number, limits: Limits): Reason | undefined =>
  mismatch(collector, demand) ?? (acceptsPriority(collector, priority) ? unavailable(collector, limits) : 'priority');

/** Whether the collector could take it sooner or later as it is registered. */
export const couldServe = (collector: Collector, demand: Demand, priority: number): boolean =>
  mismatch(collector, demand) === undefined && acceptsPriority(collector, priority);

/** Those that are healthy, or all when none is: a degraded collector is given a task only then. */
export function preferred(candidates: readonly Collector[]): readonly Collector[] {
  const healthy = candidates.filter(({ status }) => status === 'healthy');
  return healthy.length > 0 ? healthy : candidates;
}

/** The reason in words, as the end of a sentence that begins with the collector's id. */
export function reasonText(reason: Reason, collector: Collector, demand: Demand, priority: number): string {
  const { registration } = collector;
  switch (reason) {
    case 'operation':
      return `does not offer ${demand.operation.name}`;
    case 'collector_type':
      return `is of type ${registration.collector_type}, not ${demand.collectorType}`;
    case 'collector_id':
      return `is not the pinned collector ${demand.collectorId}`;
    case 'capability':
      return `lacks the capability ${demand.requires.find((need) => !registration.capabilities.includes(need))}`;
    case 'label': {
      const name = Object.keys(demand.labels).find((label) => registration.labels[label] !== demand.labels[label])!;
      const wanted = `${name}=${demand.labels[name]}`;
      const has = Object.hasOwn(registration.labels, name);
      return has ? `has the label ${name}=${registration.labels[name]}, not ${wanted}` : `lacks the label ${wanted}`;
    }
    case 'excluded':
      return 'asked not to get it again';
    case 'priority':
      return `does not accept priority ${priority}`;
    case 'status':
      return `is ${collector.status}${collector.reason === '' ? '' : ` (${collector.reason})`}`;
    case 'credit':
      return `holds ${collector.tasks.size} ${collector.tasks.size === 1 ? 'task' : 'tasks'}, its limit`;
    case 'unread':
      return 'has not read the tasks that were sent to it';
  }
}
