/** Why a pending task is not handed out, in words that say what would have to change. */
import type { WaitReason } from '../protocol/schema.ts';
import type { Collector } from './collector.ts';
import { couldServe, type Demand, mismatch, reasonText, refusal } from './match.ts';
import { isServable } from './pairing.ts';
import type { CoreState } from './state.ts';
import type { Task } from './task.ts';

/** So many collectors are named; the others are counted. */
const namedMax = 3;

/** Set when no registered collector could ever do it. */
function whyUnservable(state: CoreState, task: Task): WaitReason | undefined {
  const cls = task.class!;
  const { priority } = task.spec;
  if (isServable(cls, priority)) return undefined;
  return {
    code: 'no_capable_collector',
    message: `No registered collector can do this (${demandText(cls)}). ${namedReasons(state, cls, priority)} The task waits for one.`,
  };
}

/** Set when nobody will do it as things are: no collector could ever, or none that could is healthy. */
export function whyStuck(state: CoreState, task: Task): WaitReason | undefined {
  const unservable = whyUnservable(state, task);
  if (unservable !== undefined) return unservable;
  const cls = task.class!;
  const { priority } = task.spec;
  const isHealthy = ({ collector }: { readonly collector: Collector }): boolean =>
    couldServe(collector, cls, priority) && refusal(collector, cls, priority, state.limits) !== 'status';
  return cls.pairings.some(isHealthy) ? undefined : whyWaiting(state, task);
}

/** The reason for any pending task; undefined for one that does not wait for a collector. */
export function whyWaiting(state: CoreState, task: Task): WaitReason | undefined {
  if (task.life.state !== 'pending') return undefined;
  if (state.stopping) return { code: 'stopping', message: 'The broker is stopping and hands out no task.' };
  const unservable = whyUnservable(state, task);
  if (unservable !== undefined) return unservable;
  const cls = task.class!;
  const { priority } = task.spec;
  const able = cls.pairings.map(({ collector }) => collector).filter((one) => couldServe(one, cls, priority));
  const healthy = able.some((one) => refusal(one, cls, priority, state.limits) !== 'status');
  return {
    code: healthy ? 'no_credit' : 'no_healthy_collector',
    message: listReasons(able, cls, priority, state),
  };
}

function namedReasons(state: CoreState, cls: Demand, priority: number): string {
  if (state.collectors.size === 0) return 'No collector is registered.';
  // Refusals of those that offer the operation are more useful than those of others.
  const near: Collector[] = [];
  for (const collector of state.collectors.values()) {
    if (mismatch(collector, cls) === 'operation') continue;
    near.push(collector);
    if (near.length > namedMax) break;
  }
  if (near.length > 0) return listReasons(near, cls, priority, state);
  const { size } = state.collectors;
  return size === 1
    ? 'The one registered collector does not offer the operation.'
    : `None of the ${size} registered collectors offers the operation.`;
}

function listReasons(collectors: readonly Collector[], cls: Demand, priority: number, state: CoreState): string {
  const named = collectors.slice(0, namedMax).map((collector) => {
    const reason = refusal(collector, cls, priority, state.limits);
    return `${collector.id} ${reason === undefined ? 'is about to take a task' : reasonText(reason, collector, cls, priority)}`;
  });
  const more = collectors.length - named.length;
  return `${named.join('; ')}${more > 0 ? '; and others' : ''}.`;
}

function demandText(cls: Demand): string {
  const labels = Object.entries(cls.labels).map(([name, value]) => `label ${name}=${value}`);
  const parts = [
    `operation ${cls.operation.name}`,
    cls.collectorId === undefined ? undefined : `collector ${cls.collectorId}`,
    cls.collectorType === undefined ? undefined : `type ${cls.collectorType}`,
    ...cls.requires.map((need) => `capability ${need}`),
    ...labels,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}
