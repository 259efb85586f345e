/** What `deye top` shows: the whole broker at one moment. */
import { collectorViews, queueViews, routingView } from '../core/view.ts';
import type { CollectorView, Snapshot } from '../protocol/schema.ts';
import type { Broker } from './broker.ts';

export function snapshot(broker: Broker): Snapshot {
  const { state, relay, calls } = broker;
  return {
    broker: {
      version: broker.version,
      pid: process.pid,
      socket: broker.place.socket,
      store: broker.place.store,
      started_at_ms: broker.startedAtMs,
      at_ms: broker.nowMs(),
      sessions: broker.sessions.size,
      rss_bytes: process.memoryUsage.rss(),
      commit_us: broker.commitMs,
    },
    totals: { ...state.totals },
    queues: queueViews(state),
    collectors: allCollectors(broker),
    routing: routingView(state),
    relay: { ...relay.totals, calls: calls.total, subscriptions: relay.trie.size },
  };
}

/** The registered collectors and the supervised ones that are not there, by id. */
export function allCollectors(broker: Broker): CollectorView[] {
  const { supervisor } = broker;
  const registered = collectorViews(broker.state, broker.nowMs()).map((view) =>
    supervisor?.has(view.collector_id) === true ? { ...view, supervised: true } : view,
  );
  const absent = supervisor?.absent(new Set(registered.map(({ collector_id }) => collector_id))) ?? [];
  return [...registered, ...absent].sort((a, b) => (a.collector_id < b.collector_id ? -1 : 1));
}
