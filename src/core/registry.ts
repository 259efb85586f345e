/** Collectors coming, reporting and going. What their silence does is in `silence.ts`. */
import { fault } from '../protocol/fault.ts';
import type { Lease } from '../protocol/schema.ts';
import type { Now } from '../time/now.ts';
import { loseAttempt } from './attempt.ts';
import { assignmentTopic, type Collector, type CollectorStatus, newCollector } from './collector.ts';
import { type Input, type Output, type ReplyTo, reply } from './input.ts';
import { heldBy, isInProgress, renew } from './lease.ts';
import { mismatch } from './match.ts';
import { pair, unpair } from './pairing.ts';
import { armSilence } from './silence.ts';
import type { CoreState } from './state.ts';
import { changed, setStatus } from './status.ts';
import { dropWaits } from './wait.ts';

export function register(state: CoreState, input: Extract<Input, { kind: 'register' }>, now: Now, out: Output[]): void {
  const { registration, to } = input;
  const { collector_id: id } = registration;
  const holder = state.collectors.get(id);
  const own = state.collectorOfSession.get(to.session);
  if (holder !== undefined && holder.session !== to.session) {
    const { pid } = holder.registration;
    const message = `The collector id "${id}" is held by another live session (pid ${pid}). Choose another id, or stop that one.`;
    out.push(reply(to, fault('id_taken', message, { pid })));
    return;
  }
  if (own !== undefined && own.id !== id) {
    const message = `This session is already the collector "${own.id}". One session is one collector.`;
    out.push(reply(to, fault('id_taken', message, { collector_id: own.id })));
    return;
  }
  const collector = holder ?? newCollector(registration, to.session, now);
  if (holder === undefined) takeUnread(state, collector);
  collector.registration = registration;
  state.collectors.set(id, collector);
  state.collectorOfSession.set(to.session, collector);
  unpair(collector);
  for (const { name } of registration.operations)
    for (const cls of state.operations.byName.get(name)?.classes ?? [])
      if (mismatch(collector, cls) === undefined) pair(collector, cls);
  const reclaimed = registration.leases.filter((lease) => reclaim(state, collector, lease, now));
  collector.heldAtRegistration = collector.tasks.size;
  active(state, collector, registration.status, registration.status_reason, now, out);
  out.push({ kind: 'registered', session: to.session, registration });
  if (holder === undefined) changed(collector, collector.status, 'registered', out);
  const { heartbeatMs, leaseMs } = state.limits;
  const topic = assignmentTopic(collector);
  out.push(reply(to, { result: { topic, heartbeat_ms: heartbeatMs, lease_ms: leaseMs, reclaimed } }));
}

export function heartbeat(
  state: CoreState,
  input: Extract<Input, { kind: 'heartbeat' }>,
  now: Now,
  out: Output[],
): void {
  const collector = ofSession(state, input.to, out);
  if (collector === undefined) return;
  const { report } = input;
  collector.cpuPercent = report.cpu_percent;
  collector.rssBytes = report.rss_bytes;
  const lost = report.leases.filter(({ task_id, token }) => {
    const task = heldBy(state, input.to.session, task_id, token);
    if (task !== undefined) renew(state, task, now.monotonicMs);
    return task === undefined;
  });
  active(state, collector, report.status, report.status_reason, now, out);
  out.push(reply(input.to, { result: { lost } }));
}

export function deregister(
  state: CoreState,
  input: Extract<Input, { kind: 'deregister' }>,
  now: Now,
  out: Output[],
): void {
  const collector = ofSession(state, input.to, out);
  if (collector === undefined) return;
  const held = collector.tasks.size;
  if (input.force) removeCollector(state, collector, input.reason || 'deregistered', now, out);
  else {
    setStatus(collector, 'draining', input.reason, now, out);
    state.draining.add(collector);
  }
  out.push(reply(input.to, { result: { tasks_in_progress: held } }));
}

export function sessionClosed(state: CoreState, session: number, now: Now, out: Output[]): void {
  dropWaits(state, session);
  const collector = state.collectorOfSession.get(session);
  if (collector !== undefined) removeCollector(state, collector, 'its connection closed', now, out);
  state.unread.delete(session);
}

/** The session has read payload bytes that were on their way to its collector, or to the one it was. */
export function bytesRead(state: CoreState, session: number, bytes: number): void {
  const collector = state.collectorOfSession.get(session);
  if (collector === undefined) return setUnread(state, session, (state.unread.get(session) ?? 0) - bytes);
  collector.unreadBytes = Math.max(0, collector.unreadBytes - bytes);
  state.freed.add(collector);
}

/** Payload bytes are on their way to a session that is no collector now. */
export function setUnread({ unread }: CoreState, session: number, bytes: number): void {
  if (bytes > 0) unread.set(session, bytes);
  else unread.delete(session);
}

/** What was on its way to the session's collector before it was taken out still is. */
function takeUnread({ unread }: CoreState, collector: Collector): void {
  collector.unreadBytes = unread.get(collector.session) ?? 0;
  unread.delete(collector.session);
}

/** Draining collectors that hold nothing any more are removed. Called at the end of each step. */
export function removeDrained(state: CoreState, now: Now, out: Output[]): void {
  for (const collector of state.draining)
    if (collector.tasks.size === 0) removeCollector(state, collector, 'drained', now, out);
}

function active(
  state: CoreState,
  collector: Collector,
  status: CollectorStatus,
  reason: string,
  now: Now,
  out: Output[],
): void {
  collector.active = now;
  armSilence(state, collector);
  if (collector.status !== 'draining') setStatus(collector, status, reason, now, out);
  state.freed.add(collector);
}

/** After a broker restart: the collector is back and still at work on this attempt. */
function reclaim(state: CoreState, collector: Collector, { task_id, token }: Lease, now: Now): boolean {
  const task = state.tasks.get(task_id);
  if (task === undefined || !isInProgress(task) || task.token !== token) return false;
  const { life } = task;
  if (life.collectorId !== collector.id || (life.collector !== undefined && life.collector !== collector)) return false;
  task.life = { ...life, collector };
  collector.tasks.set(task_id, task);
  renew(state, task, now.monotonicMs);
  return true;
}

function removeCollector(state: CoreState, collector: Collector, reason: string, now: Now, out: Output[]): void {
  state.collectors.delete(collector.id);
  state.collectorOfSession.delete(collector.session);
  state.draining.delete(collector);
  state.deadlines.delete(collector);
  setUnread(state, collector.session, collector.unreadBytes);
  unpair(collector);
  const message = `Collector ${collector.id} is gone: ${reason}.`;
  for (const task of [...collector.tasks.values()])
    if (isInProgress(task)) loseAttempt(state, task, 'connection_lost', message, now, out);
  state.freed.delete(collector);
  changed(collector, 'gone', reason, out);
}

function ofSession(state: CoreState, to: ReplyTo, out: Output[]): Collector | undefined {
  const collector = state.collectorOfSession.get(to.session);
  if (collector === undefined)
    out.push(
      reply(to, fault('not_registered', 'This session has registered no collector. Send collector.register first.')),
    );
  return collector;
}
