/** Collectors coming, speaking, falling silent and going. */
import { fault } from '../protocol/fault.ts';
import { heldBy, loseAttempt, renew } from './attempt.ts';
import { assignmentTopic, type Collector, type CollectorStatus } from './collector.ts';
import { type CoreState, type Input, linkClass, type Output, unlinkClasses } from './state.ts';

export function register(
  state: CoreState,
  input: Extract<Input, { kind: 'register' }>,
  nowMs: number,
  out: Output[],
): void {
  const { offer, to } = input;
  const holder = state.collectors.get(offer.collector_id);
  if (holder !== undefined && holder.session !== to.session) {
    out.push({
      kind: 'reply',
      to,
      outcome: fault(
        'id_taken',
        `The collector id "${offer.collector_id}" is held by another live session (pid ${holder.offer.pid}). Choose another id, or stop that one.`,
        { pid: holder.offer.pid },
      ),
    });
    return;
  }
  const mine = state.collectorOfSession.get(to.session);
  if (mine !== undefined && mine.id !== offer.collector_id) {
    out.push({
      kind: 'reply',
      to,
      outcome: fault('id_taken', `This session is already the collector "${mine.id}". One session is one collector.`, {
        collector_id: mine.id,
      }),
    });
    return;
  }
  const collector = holder ?? newCollector(offer, to.session, nowMs);
  collector.offer = offer;
  state.collectors.set(collector.id, collector);
  state.collectorOfSession.set(to.session, collector);
  unlinkClasses(collector);
  for (const cls of state.classes.values()) linkClass(collector, cls);
  const kept = offer.leases.filter(({ task_id, attempt }) => reclaim(state, collector, task_id, attempt, nowMs));
  heard(state, collector, offer.status, offer.status_reason, nowMs, out);
  if (holder === undefined)
    out.push({
      kind: 'collector_changed',
      id: collector.id,
      type: offer.collector_type,
      status: collector.status,
      reason: 'registered',
    });
  out.push({
    kind: 'reply',
    to,
    outcome: {
      result: {
        topic: assignmentTopic(collector),
        heartbeat_ms: state.limits.heartbeatMs,
        lease_ms: state.limits.leaseMs,
        kept,
      },
    },
  });
}

export function heartbeat(
  state: CoreState,
  input: Extract<Input, { kind: 'heartbeat' }>,
  nowMs: number,
  out: Output[],
): void {
  const collector = ofSession(state, input.to, out);
  if (collector === undefined) return;
  const { said } = input;
  collector.cpuPercent = said.cpu_percent;
  collector.rssBytes = said.rss_bytes;
  const lost = said.leases.filter(({ task_id, attempt }) => {
    const task = heldBy(state, input.to.session, task_id, attempt);
    if (task !== undefined) renew(state, task, nowMs);
    return task === undefined;
  });
  heard(state, collector, said.status, said.status_reason, nowMs, out);
  out.push({ kind: 'reply', to: input.to, outcome: { result: { lost } } });
}

export function deregister(
  state: CoreState,
  input: Extract<Input, { kind: 'deregister' }>,
  nowMs: number,
  out: Output[],
): void {
  const collector = ofSession(state, input.to, out);
  if (collector === undefined) return;
  const held = collector.tasks.size;
  if (input.force) removeCollector(state, collector, input.reason || 'deregistered', nowMs, out);
  else {
    setStatus(collector, 'draining', input.reason, nowMs, out);
    state.draining.add(collector);
  }
  out.push({ kind: 'reply', to: input.to, outcome: { result: { tasks: held } } });
}

export function sessionClosed(state: CoreState, session: number, nowMs: number, out: Output[]): void {
  for (const [taskId, waiters] of state.waiters) {
    for (const waiter of waiters) {
      if (waiter.to.session !== session) continue;
      state.deadlines.delete(waiter);
      waiters.delete(waiter);
    }
    if (waiters.size === 0) state.waiters.delete(taskId);
  }
  const collector = state.collectorOfSession.get(session);
  if (collector !== undefined) removeCollector(state, collector, 'its connection closed', nowMs, out);
}

/** Draining collectors that hold nothing any more are gone. Called at the end of each step. */
export function removeDrained(state: CoreState, nowMs: number, out: Output[]): void {
  for (const collector of state.draining)
    if (collector.tasks.size === 0) removeCollector(state, collector, 'drained', nowMs, out);
}

/**
 * Called when a collector has been silent. A heartbeat counts as missed when it is a tenth of the interval late; after
 * one the collector is degraded, after two it is failing and its tasks are given to others.
 */
export function silenceDue(state: CoreState, collector: Collector, nowMs: number, out: Output[]): void {
  const { heartbeatMs } = state.limits;
  const missed = Math.floor((nowMs - collector.lastHeartbeatAtMs - heartbeatMs / 10) / heartbeatMs);
  if (missed >= 2) {
    if (collector.status !== 'draining')
      setStatus(
        collector,
        'failing',
        `no heartbeat for ${Math.round((nowMs - collector.lastHeartbeatAtMs) / 1000)} s`,
        nowMs,
        out,
      );
    for (const task of [...collector.tasks.values()])
      loseAttempt(state, task, 'collector_silent', `Collector ${collector.id} missed two heartbeats.`, nowMs, out);
    return;
  }
  if (missed >= 1 && collector.status === 'healthy')
    setStatus(collector, 'degraded', 'one heartbeat missed', nowMs, out);
  state.deadlines.set(collector, missedAtMs(state, collector, missed + 1));
}

function missedAtMs(state: CoreState, collector: Collector, missed: number): number {
  return collector.lastHeartbeatAtMs + missed * state.limits.heartbeatMs + state.limits.heartbeatMs / 10;
}

function newCollector(offer: Extract<Input, { kind: 'register' }>['offer'], session: number, nowMs: number): Collector {
  return {
    due: 'collector',
    dueMs: 0,
    dueIndex: -1,
    id: offer.collector_id,
    session,
    offer,
    status: offer.status,
    reason: offer.status_reason,
    statusChangedAtMs: nowMs,
    lastHeartbeatAtMs: nowMs,
    cpuPercent: undefined,
    rssBytes: undefined,
    tasks: new Map(),
    lastAssignedAtMs: 0,
    completed: 0,
    failed: 0,
    classes: new Set(),
  };
}

function heard(
  state: CoreState,
  collector: Collector,
  status: CollectorStatus,
  reason: string,
  nowMs: number,
  out: Output[],
): void {
  collector.lastHeartbeatAtMs = nowMs;
  state.deadlines.set(collector, missedAtMs(state, collector, 1));
  if (collector.status !== 'draining') setStatus(collector, status, reason, nowMs, out);
  for (const cls of collector.classes) if (cls.size > 0) state.dirty.add(cls);
}

function setStatus(collector: Collector, status: CollectorStatus, reason: string, nowMs: number, out: Output[]): void {
  collector.reason = reason;
  if (collector.status === status) return;
  collector.status = status;
  collector.statusChangedAtMs = nowMs;
  out.push({ kind: 'collector_changed', id: collector.id, type: collector.offer.collector_type, status, reason });
}

/** After a broker restart: the collector is back and still at work on this attempt. */
function reclaim(state: CoreState, collector: Collector, taskId: string, attempt: number, nowMs: number): boolean {
  const task = state.tasks.get(taskId);
  if (task?.phase.state !== 'in_progress' || task.attempt !== attempt || task.phase.collectorId !== collector.id)
    return false;
  if (task.phase.collector === undefined) task.phase = { ...task.phase, collector };
  collector.tasks.set(taskId, task);
  renew(state, task, nowMs);
  return true;
}

function removeCollector(state: CoreState, collector: Collector, reason: string, nowMs: number, out: Output[]): void {
  state.collectors.delete(collector.id);
  state.collectorOfSession.delete(collector.session);
  state.draining.delete(collector);
  state.deadlines.delete(collector);
  unlinkClasses(collector);
  for (const task of [...collector.tasks.values()])
    loseAttempt(state, task, 'connection_lost', `Collector ${collector.id} is gone: ${reason}.`, nowMs, out);
  out.push({
    kind: 'collector_changed',
    id: collector.id,
    type: collector.offer.collector_type,
    status: 'gone',
    reason,
  });
}

function ofSession(state: CoreState, to: { session: number; id: number }, out: Output[]): Collector | undefined {
  const collector = state.collectorOfSession.get(to.session);
  if (collector === undefined)
    out.push({
      kind: 'reply',
      to,
      outcome: fault('not_registered', 'This session has registered no collector. Send collector.register first.'),
    });
  return collector;
}
