/** A registered collector: what it can do, how it is, what it holds. Its pairings with the task classes are derived. */
import type { collectorStatuses, RegistrationParsed } from '../protocol/collector-schema.ts';
import type { Due } from '../time/deadlines.ts';
import { Heap } from '../time/heap.ts';
import type { Now } from '../time/now.ts';
import { type Pairing, pairingOrder } from './pairing.ts';
import type { Task } from './task.ts';

export type CollectorStatus = (typeof collectorStatuses)[number];

export interface Collector extends Due {
  readonly due: 'collector';
  readonly id: string;
  /** The session it is connected by. */
  readonly session: number;
  registration: RegistrationParsed;
  status: CollectorStatus;
  reason: string;
  statusChangedAtMs: number;
  /** When it last registered or sent a heartbeat. */
  active: Now;
  cpuPercent: number | undefined;
  rssBytes: number | undefined;
  readonly tasks: Map<string, Task>;
  /** How many it held when it last registered; may be above its limit until it has ended some. */
  heldAtRegistration: number;
  /** The number of its latest assignment, counted over all collectors: the smaller, the longer ago; 0 for none. */
  lastAssigned: number;
  assigned: number;
  completed: number;
  failed: number;
  /** Bytes of payloads on their way to it that its session has not read yet. */
  unreadBytes: number;
  /** Derived: the classes it fits. */
  readonly pairings: Set<Pairing>;
  /** Derived: those with tasks for it, by the best of them. */
  readonly work: Heap<Pairing>;
}

export function newCollector(registration: RegistrationParsed, session: number, now: Now): Collector {
  return {
    due: 'collector',
    dueMs: 0,
    dueIndex: -1,
    id: registration.collector_id,
    session,
    registration,
    status: registration.status,
    reason: registration.status_reason,
    statusChangedAtMs: now.wallMs,
    active: now,
    cpuPercent: undefined,
    rssBytes: undefined,
    tasks: new Map(),
    heldAtRegistration: 0,
    lastAssigned: 0,
    assigned: 0,
    completed: 0,
    failed: 0,
    unreadBytes: 0,
    pairings: new Set(),
    work: new Heap(pairingOrder),
  };
}

export const assignmentTopic = ({ id, registration }: Collector): string =>
  `control.tasks.${registration.collector_type}.${id}`;

/**
 * Confidence in it, 0 to 1: health (1, 0.5, else 0) times freshness (0.1 once older than `timeoutMs`, else
 * 1 − age ÷ timeout, at least 0.5).
 */
export function confidence({ status, active }: Collector, monotonicMs: number, timeoutMs: number): number {
  const health = status === 'healthy' ? 1 : status === 'degraded' ? 0.5 : 0;
  const age = Math.max(0, monotonicMs - active.monotonicMs);
  const freshness = age > timeoutMs ? 0.1 : Math.max(0.5, 1 - age / timeoutMs);
  return health * freshness;
}
