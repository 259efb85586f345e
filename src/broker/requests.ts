/** The handlers of every request to the broker, by name, as the message table lists them. */
import { z } from 'zod';
import type { ReplyTo } from '../core/state.ts';
import type { TaskSpec, TaskState } from '../core/task.ts';
import { routingView } from '../core/view.ts';
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import { encodeReply } from '../protocol/frame.ts';
import { type Method, methodTable, type ParamsParsed, type Reply } from '../protocol/message.ts';
import { elementBytes, fieldBytes } from '../protocol/msgpack.ts';
import type { Submitted } from '../protocol/schema.ts';
import { uuidTimeMs } from '../protocol/uuid.ts';
import type { RequestHead } from '../relay/calls.ts';
import { type Broker, decodeParams } from './broker.ts';
import { sendDetail } from './release.ts';
import type { Session } from './session.ts';
import { allCollectors, snapshot } from './snapshot.ts';
import { specOf, summaryOf } from './task-view.ts';

interface Asked<M extends Method> {
  readonly broker: Broker;
  readonly session: Session;
  readonly to: ReplyTo;
  readonly params: ParamsParsed<M>;
  /** The params as they came, encoded. */
  readonly raw: Buffer;
  /** When the caller stops waiting, in the broker's ms. */
  readonly deadlineMs: number;
}

/** Nothing is returned when the reply comes through the turn. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that hands over to the turn has no value
type Answer<M extends Method> = Reply<M> | Fault | void;
type Handler<M extends Method> = (asked: Asked<M>) => Answer<M> | Promise<Answer<M>>;

const handlers = {
  subscribe: ({ broker, session, params }) =>
    broker.relay.subscribe(session.self, params.patterns, params.exclude) ?? {
      subscriptions: session.self.patterns.size,
    },

  unsubscribe: ({ broker, session, params }) => {
    broker.relay.unsubscribe(session.self, params.patterns);
    return { subscriptions: session.self.patterns.size };
  },

  health_check: ({ broker }) => {
    const { state, limits, relay } = broker;
    const nowMs = broker.nowMs();
    const full = state.waiting >= limits.pendingMax;
    const component = (status: string, message: string) => ({ status, message, last_check_at_ms: nowMs });
    return {
      status: full ? 'degraded' : 'healthy',
      uptime_seconds: (nowMs - broker.startedAtMs) / 1000,
      components: {
        store: component('healthy', `${broker.place.store}, ${broker.commits} commits`),
        queue: component(full ? 'full' : 'healthy', `${state.waiting} of ${limits.pendingMax} waiting`),
        relay: component('healthy', `${broker.sessions.size} sessions, ${relay.trie.size} subscriptions`),
      },
      metrics: {
        waiting: state.waiting,
        in_progress: state.inProgress,
        commits: broker.commits,
        commit_us: broker.commitMs,
        calls_in_flight: broker.calls.inFlight,
        dropped: relay.totals.dropped,
      },
      error_count: broker.errors,
      last_heartbeat_at_ms: null,
    };
  },

  get_capabilities: ({ broker }) => {
    // A map, since an operation may be called "constructor".
    const operations = new Map<string, string[]>();
    for (const { id, offer } of broker.state.collectors.values())
      for (const { name } of offer.operations) operations.set(name, [...(operations.get(name) ?? []), id]);
    return {
      methods: Object.keys(methodTable),
      operations: Object.fromEntries(operations),
      features: ['relay', 'calls', 'tasks', 'supervision'],
    };
  },

  snapshot: ({ broker }) => snapshot(broker),

  shutdown: ({ broker, params, session }) => {
    broker.log.info(
      { component: 'broker', by: session.name, type: params.type, reason: params.reason },
      'asked to stop',
    );
    broker.askStop(params.type);
    return { accepted: true };
  },

  'broker.log_level': ({ broker, params }) => {
    broker.log.level = params.level;
    return { level: params.level };
  },

  'task.submit': ({ broker, to, params, raw }) =>
    submit(broker, to, [specOf(params, fieldBytes(raw, 0, 'payload'), broker.limits, broker.nowMs())], false),

  'task.submit_batch': ({ broker, to, params, raw }) => {
    const bodies = elementBytes(fieldBytes(raw, 0, 'tasks')!);
    return submit(
      broker,
      to,
      params.tasks.map((task, at) =>
        specOf(task, fieldBytes(bodies[at]!, 0, 'payload'), broker.limits, broker.nowMs()),
      ),
      true,
    );
  },

  'task.list': async ({ broker, params }) => {
    const { operation, collector_id: collectorId, limit } = params;
    const states = [
      ...new Set(
        params.state.flatMap((state): TaskState[] =>
          state === 'queued' ? ['pending'] : state === 'failed' ? ['retrying', 'dead_letter'] : [state],
        ),
      ),
    ];
    const beforeSeq = params.cursor === undefined ? undefined : Number(params.cursor);
    if (beforeSeq !== undefined && !Number.isSafeInteger(beforeSeq))
      return fault('invalid_params', `cursor ${JSON.stringify(params.cursor)} is none that this broker gave.`);
    const tasks = await broker.store.list({ states, operation, collectorId, beforeSeq, limit });
    return { tasks: tasks.map(summaryOf), ...(tasks.length === limit ? { cursor: String(tasks.at(-1)!.seq) } : {}) };
  },

  'task.show': ({ broker, to, params }) => {
    void sendDetail(broker, to.session, to.id, params.id);
  },

  'task.wait': ({ broker, to, params, deadlineMs }) => broker.enqueue({ kind: 'wait', to, id: params.id, deadlineMs }),

  'task.cancel': ({ broker, to, params }) => broker.enqueue({ kind: 'cancel', to, ...params }),

  'task.complete': ({ broker, to, params, raw }) => {
    const result = fieldBytes(raw, 0, 'result');
    if (result !== undefined && result.length > broker.limits.payloadBytesMax)
      return fault(
        'payload_too_large',
        `The result is ${result.length} bytes; the limit is ${broker.limits.payloadBytesMax}.`,
        { limit: broker.limits.payloadBytesMax },
      );
    broker.enqueue({
      kind: 'complete',
      to,
      taskId: params.task_id,
      attempt: params.attempt,
      result: result && Uint8Array.prototype.slice.call(result),
    });
  },

  'task.fail': ({ broker, to, params }) => broker.enqueue({ kind: 'fail', to, said: params }),

  'collector.register': ({ broker, session, to, params }) => {
    session.domains = new Set(params.event_domains);
    broker.enqueue({ kind: 'register', to, offer: params });
  },

  'collector.heartbeat': ({ broker, to, params }) => broker.enqueue({ kind: 'heartbeat', to, said: params }),

  'collector.deregister': ({ broker, to, params }) => broker.enqueue({ kind: 'deregister', to, ...params }),

  'collector.list': ({ broker }) => ({ collectors: allCollectors(broker) }),

  'collector.show': ({ broker, params }) => {
    const view = allCollectors(broker).find(({ collector_id }) => collector_id === params.collector_id);
    if (view === undefined) return unknownCollector(params.collector_id);
    const tasks = [...(broker.state.collectors.get(params.collector_id)?.tasks.values() ?? [])];
    const holds = tasks.map(({ spec, attempt, phase }) => ({
      task_id: spec.id,
      operation: spec.operation,
      attempt,
      started_at_ms: phase.state === 'in_progress' ? phase.startedAtMs : 0,
    }));
    return { ...view, holds };
  },

  'collector.start': ({ broker, params: { collector_id } }) => manage(broker, collector_id, 'start'),
  'collector.stop': ({ broker, params: { collector_id } }) => manage(broker, collector_id, 'stop'),

  'routing.show': ({ broker }) => routingView(broker.state),

  'routing.set': ({ broker, to, params }) =>
    broker.enqueue({ kind: 'route', to, strategy: params.strategy, operation: params.operation }),
} satisfies { [M in Method]: Handler<M> };

const validators = Object.fromEntries(
  Object.entries(methodTable).map(([name, { params }]) => [name, z.compile(params as z.ZodType)]),
) as Record<Method, z.ZodType>;

/** Answers one request that is addressed to the broker. */
export function handle(broker: Broker, session: Session, head: RequestHead, bytes: Buffer): void {
  const answer = (outcome: Fault | { result: unknown }) => session.send(encodeReply(head.id, outcome));
  if (!Object.hasOwn(methodTable, head.method)) {
    answer(
      fault(
        'unsupported_operation',
        `The broker has no method "${head.method.slice(0, 80)}". get_capabilities lists what it has.`,
        { method: head.method.slice(0, 80) },
      ),
    );
    return;
  }
  const method = head.method as Method;
  const { roles } = methodTable[method];
  if (!(roles as readonly string[]).includes(session.role)) {
    answer(
      fault('not_allowed', `A session in the role ${session.role} may not call ${method}; ${roles.join(' or ')} may.`, {
        method,
        roles,
      }),
    );
    return;
  }
  const params = validators[method].safeParse(decodeParams(bytes, head) ?? {});
  if (!params.success) {
    const problems = params.error.issues
      .slice(0, 5)
      .map(({ path, message }) => `${path.map(String).join('.') || 'params'}: ${message}`);
    answer(fault('invalid_params', `${method}: ${problems.join('; ')}`, { problems }));
    return;
  }
  const { callMsDefault } = broker.limits;
  const asked = {
    broker,
    session,
    to: { session: session.id, id: head.id },
    params: params.data,
    raw: bytes.subarray(head.paramsStart, head.paramsEnd),
    deadlineMs: broker.nowMs() + (head.deadlineMs || callMsDefault),
  };
  const outcome = (handlers[method] as Handler<Method>)(asked as unknown as Asked<Method>);
  if (outcome === undefined) return;
  if (outcome instanceof Promise) {
    outcome.then(
      (reply) => reply !== undefined && answer(isFault(reply) ? reply : { result: reply }),
      (error: Error) => answer(fault('store_failed', error.message)),
    );
  } else answer(isFault(outcome) ? outcome : { result: outcome });
}

/** Ids that only the store can know, such as those of a client that repeats itself after a restart, are looked up first. */
function submit(
  broker: Broker,
  to: ReplyTo,
  specs: readonly (TaskSpec | Fault)[],
  batch: boolean,
): void | Promise<void> {
  const { state } = broker;
  const forgotten = (spec: TaskSpec | Fault): spec is TaskSpec =>
    !isFault(spec) &&
    uuidTimeMs(spec.id) <= state.dedupeHorizonMs &&
    !state.tasks.has(spec.id) &&
    !state.ended.has(spec.id);
  if (!specs.some(forgotten)) return broker.enqueue({ kind: 'submit', to, specs, batch });
  return Promise.all(
    specs.map(async (spec): Promise<TaskSpec | Fault | Submitted> => {
      const known = forgotten(spec) ? await broker.store.show(spec.id) : undefined;
      return known === undefined ? spec : { id: known.spec.id, state: known.state, duplicate: true };
    }),
  ).then((looked) => broker.enqueue({ kind: 'submit', to, specs: looked, batch }));
}

function manage(broker: Broker, id: string, what: 'start' | 'stop'): Reply<'collector.start'> | Fault {
  const { supervisor } = broker;
  if (supervisor?.has(id) !== true) {
    if (!broker.state.collectors.has(id)) return unknownCollector(id);
    return fault(
      'wrong_state',
      `Collector ${id} was not started by this broker, so the broker cannot ${what} it. Its own process decides.`,
      { collector_id: id },
    );
  }
  const refusal = supervisor[what](id);
  if (refusal !== undefined) return refusal;
  return { collector_id: id, status: what === 'start' ? 'starting' : 'draining' };
}

const unknownCollector = (id: string): Fault =>
  fault('not_found', `There is no collector "${id}". See: deye collectors ls`, { collector_id: id });
