/** I6: what the broker keeps, for whom, and for how long. */
import assert from 'node:assert/strict';
import type { Broker } from '../../src/broker/broker.ts';
import type { CoreState } from '../../src/core/state.ts';
import type { Limits } from '../../src/protocol/limits.ts';

/** Tasks that were in progress may come back to a full queue. */
const requeuedMost = 64;

/** After every event. */
export function checkBounds(broker: Broker, state: CoreState | undefined, limits: Limits): void {
  const { sessions, calls, relay } = broker;
  assert(sessions.size <= limits.connectionsMax, `I6: ${sessions.size} sessions`);
  assert(calls.inFlight <= limits.callsMax, `I6: ${calls.inFlight} calls`);
  assert(relay.routes.size <= limits.routesMax, `I6: ${relay.routes.size} routes`);
  assert(relay.subscriptions <= limits.subscriptionsTotalMax, `I6: ${relay.subscriptions} subscriptions`);
  // One answer more than the limit, and the frame is the largest that there is.
  const most = limits.outboundBytesMax + limits.frameBytesMax;
  for (const session of sessions) {
    const { queuedBytes } = session.peer.link;
    assert(queuedBytes <= most, `I6: ${queuedBytes} bytes are kept for ${session.principal.name}, at most ${most}`);
    // One request more than the limit.
    const unanswered = session.backlog.bytes;
    assert(
      unanswered <= limits.inboundBytesMax + limits.frameBytesMax,
      `I6: ${unanswered} bytes of requests of ${session.principal.name} wait, at most ${limits.inboundBytesMax} and one`,
    );
    const { patterns, excluded } = session.peer;
    assert(patterns.size <= limits.subscriptionsMax && excluded.size <= limits.subscriptionsMax, 'I6: patterns');
  }
  if (state === undefined) return;
  const { waits, classes, operations } = state;
  assert(waits.count <= limits.waitsTotalMax, `I6: ${waits.count} waits`);
  for (const own of waits.bySession.values()) assert(own.size <= limits.waitsMax, `I6: ${own.size} waits of a session`);
  assert(classes.byKey.size <= limits.classesMax + state.tasks.size, `I6: ${classes.byKey.size} classes`);
  assert(operations.waiting <= limits.pendingMax + requeuedMost, `I6: ${operations.waiting} tasks wait`);
}

/** When every task has ended and every client has gone. */
export function checkEmpty({ sessions, calls, relay }: Broker, state: CoreState): void {
  const left = {
    sessions: sessions.size,
    calls: calls.inFlight,
    // The broker's own calls are a session of theirs.
    callers: Math.max(0, calls.sessions - 1),
    holds: relay.holds.size,
    subscriptions: relay.subscriptions,
    tasks: state.tasks.size,
    collectors: state.collectors.size,
    collectorSessions: state.collectorOfSession.size,
    draining: state.draining.size,
    unread: state.unread.size,
    freed: state.freed.size,
    waits: state.waits.count,
    waitingSessions: state.waits.bySession.size,
    waitedFor: state.waits.byTask.size,
    deadlines: state.deadlines.size,
    lookUps: state.ended.lookUps.size,
    waiting: state.operations.waiting,
    waitingBytes: state.operations.waitingBytes,
    inProgress: state.operations.inProgress,
    ready: state.classes.ready.size,
  };
  for (const [what, count] of Object.entries(left)) assert.equal(count, 0, `I6: ${what} are left behind: ${count}`);
}
