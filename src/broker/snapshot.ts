/** The broker at one moment, for those who look: `deye top`, `deye broker status`, health checks. */
import type { Collector } from '../core/collector.ts';
import type { CoreState } from '../core/state.ts';
import { collectorView, queueViews, routingView } from '../core/view.ts';
import type { CollectorView } from '../protocol/collector-schema.ts';
import type { ParamsParsed, Reply } from '../protocol/message.ts';
import type { Health, Snapshot } from '../protocol/view-schema.ts';
import type { Now } from '../time/now.ts';
import type { BrokerContext } from './broker-context.ts';

/** Operations of one collector that a snapshot lists; `collector.show` lists all. */
const operationsShown = 8;

export function snapshot(broker: BrokerContext, state: CoreState, now: Now): Snapshot {
  const { relay, calls, commits, place, limits } = broker;
  return {
    broker: {
      version: broker.version,
      pid: process.pid,
      socket: place.socket,
      store: place.store,
      sync: broker.sync,
      is_store_full: broker.upkeep.isFull,
      ...(place.log === undefined ? {} : { log: place.log }),
      started_at_ms: broker.started.wallMs,
      uptime_ms: uptimeMs(broker, now),
      at_ms: now.wallMs,
      sessions: broker.sessions.size,
      rss_bytes: process.memoryUsage.rss(),
      commit_us: Math.round(commits.latestMs * 1000),
      stop_grace_ms: limits.stopGraceMs,
    },
    totals: { ...state.totals },
    waiting: state.operations.waiting,
    in_progress: state.operations.inProgress,
    queues: queueViews(state),
    operation_count: state.operations.byName.size,
    collectors: collectorsShown(broker, state, now),
    collector_count: state.collectors.size,
    routing: routingView(state),
    relay: { ...relay.totals, calls: calls.total, subscriptions: relay.subscriptions },
  };
}

const uptimeMs = ({ started }: BrokerContext, now: Now): number => Math.floor(now.monotonicMs - started.monotonicMs);

export function brokerHealth(broker: BrokerContext, { operations }: CoreState, now: Now): Health {
  const { limits, relay, sessions, commits, calls, reads } = broker;
  const full = operations.waiting >= limits.pendingMax || operations.waitingBytes >= limits.pendingBytesMax;
  const component = (status: string, message: string) => ({ status, message, last_check_at_ms: now.wallMs });
  return {
    status: full ? 'degraded' : 'healthy',
    uptime_seconds: Math.floor(uptimeMs(broker, now) / 1000),
    components: {
      store: component('healthy', `${broker.place.store}, ${commits.count} commits`),
      queue: component(full ? 'full' : 'healthy', `${operations.waiting} of ${limits.pendingMax} waiting`),
      relay: component('healthy', `${sessions.size} sessions, ${relay.subscriptions} subscriptions`),
    },
    metrics: {
      waiting: operations.waiting,
      waiting_bytes: operations.waitingBytes,
      in_progress: operations.inProgress,
      commits: commits.count,
      commit_us: Math.round(commits.latestMs * 1000),
      calls_in_flight: calls.inFlight,
      dropped: relay.totals.dropped,
      stalls: relay.totals.stalls,
    },
    error_count: sessions.broken + reads.failures,
    last_heartbeat_at_ms: null,
  };
}

/** At most `snapshotRowsMax`, without what their owners may fill: a snapshot always fits a frame. */
function collectorsShown(broker: BrokerContext, state: CoreState, now: Now): CollectorView[] {
  return collectorList(broker, state, now)
    .slice(0, broker.limits.snapshotRowsMax)
    .map((view) => ({
      ...view,
      labels: {},
      metadata: {},
      capabilities: [],
      operations: view.operations.slice(0, operationsShown),
    }));
}

/** A page of all collectors: those after the one that the cursor names. */
export function collectorPage(
  broker: BrokerContext,
  state: CoreState,
  now: Now,
  { limit, cursor }: ParamsParsed<'collector.list'>,
): Reply<'collector.list'> {
  const all = collectorList(broker, state, now);
  const rest = cursor === undefined ? all : all.filter(({ collector_id }) => collector_id > cursor);
  const collectors = rest.slice(0, limit);
  return rest.length <= limit ? { collectors } : { collectors, cursor: collectors.at(-1)!.collector_id };
}

/** The registered collectors and the supervised ones that are not there, by id. */
function collectorList({ supervisor }: BrokerContext, state: CoreState, now: Now): CollectorView[] {
  const registered = [...state.collectors.values()].map((collector) => viewOf(supervisor, state, collector, now));
  const absent = supervisor?.absent(new Set(state.collectors.keys())) ?? [];
  return [...registered, ...absent].sort((a, b) => (a.collector_id < b.collector_id ? -1 : 1));
}

export function collectorDetail(
  { supervisor }: BrokerContext,
  state: CoreState,
  now: Now,
  id: string,
): Reply<'collector.show'> | undefined {
  const collector = state.collectors.get(id);
  const view =
    collector === undefined
      ? supervisor?.absent(new Set(state.collectors.keys())).find(({ collector_id }) => collector_id === id)
      : viewOf(supervisor, state, collector, now);
  if (view === undefined) return undefined;
  const holds = [...(collector?.tasks.values() ?? [])].map(({ spec, attempt, life }) => ({
    task_id: spec.id,
    operation: spec.operation,
    attempt,
    started_at_ms: life.state === 'in_progress' ? life.startedAtMs : 0,
  }));
  return { ...view, holds };
}

/** The collectors of each operation, by id. */
export function operationsOffered(state: CoreState): Record<string, string[]> {
  // A map, since an operation may be called "constructor".
  const offered = new Map<string, string[]>();
  for (const { id, registration } of state.collectors.values())
    for (const { name } of registration.operations) {
      const ids = offered.get(name);
      if (ids === undefined) offered.set(name, [id]);
      else ids.push(id);
    }
  return Object.fromEntries(offered);
}

const viewOf = (
  supervisor: BrokerContext['supervisor'],
  state: CoreState,
  collector: Collector,
  now: Now,
): CollectorView => ({
  ...collectorView(state, collector, now),
  supervised: supervisor?.has(collector.id) === true,
});
