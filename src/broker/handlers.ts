/** What answers each request to the broker, by method, as the message table lists them. */
import type { Input, ReplyTo } from '../core/input.ts';
import { routingView } from '../core/view.ts';
import type { Principal } from '../protocol/access.ts';
import type { CollectorView } from '../protocol/collector-schema.ts';
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import { type Method, methodTable, type ParamsParsed, type Reply } from '../protocol/message.ts';
import { encodeValue } from '../protocol/msgpack.ts';
import type { Bodies } from '../protocol/params.ts';
import type { BrokerContext } from './broker-context.ts';
import type { Session } from './session.ts';
import { brokerHealth, collectorDetail, collectorPage, operationsOffered, snapshot } from './snapshot.ts';
import { specsOf } from './submit-params.ts';
import { specOf } from './task-view.ts';

export interface RequestContext<M extends Method> {
  readonly broker: BrokerContext;
  readonly session: Session;
  /** The principal that the request runs as: always the session's, since no session may impersonate another. */
  readonly principal: Principal;
  readonly to: ReplyTo;
  readonly params: ParamsParsed<M>;
  /** The bodies in the params as they came, encoded. */
  readonly bodies: Bodies;
  readonly timeoutMs: number;
}

/**
 * A handler answers, or hands over to the turn and answers later. Of a durable method it can only refuse: its results
 * come through the turn, after the commit.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: handing over to the turn is a statement, not a value
type Later = void;
type Answer<M extends Method> = Fault | Later | ((typeof methodTable)[M]['durable'] extends true ? never : Reply<M>);
export type Handler<M extends Method> = (request: RequestContext<M>) => Answer<M>;

export const handlers: { readonly [M in Method]: Handler<M> } = {
  'topic.subscribe': ({ broker, session, params }) => {
    const { patterns } = session.peer;
    return broker.relay.subscribe(session.peer, params.patterns, params.exclude) ?? { subscriptions: patterns.size };
  },

  'topic.unsubscribe': ({ broker, session, params }) => {
    broker.relay.unsubscribe(session.peer, params.patterns);
    return { subscriptions: session.peer.patterns.size };
  },

  'broker.health': ({ broker, to }) =>
    broker.reads.fromCore(to, (state, now) => ({ result: brokerHealth(broker, state, now) })),

  'broker.capabilities': ({ broker, to }) =>
    broker.reads.fromCore(to, (state) => ({
      result: {
        methods: Object.keys(methodTable),
        collectors_by_operation: operationsOffered(state),
        features: ['relay', 'calls', 'tasks', 'supervision'],
      },
    })),

  'broker.snapshot': ({ broker, to }) =>
    broker.reads.fromCore(to, (state, now) => ({ result: snapshot(broker, state, now) })),

  'broker.shutdown': ({ broker, params, principal }) => {
    broker.log.info({ component: 'broker', by: principal.name, ...params }, 'a request stops the broker');
    broker.requestStop(params.type);
    return { accepted: true };
  },

  'broker.log_level': ({ broker, params }) => {
    broker.log.level = params.level;
    return { level: params.level };
  },

  'task.submit': ({ broker, to, params, bodies: [payload] }) => {
    const spec = specOf(params, payload, broker.limits, broker.newIdMs());
    if (isFault(spec)) return spec;
    broker.enqueue({ kind: 'submit', to, specs: [spec], batch: false });
  },

  'task.submit_batch': ({ broker, to, params, bodies }) =>
    broker.enqueue({
      kind: 'submit',
      to,
      specs: specsOf(params.tasks, bodies, broker.limits, broker.newIdMs()),
      batch: true,
    }),

  'task.list': ({ broker, to, params }) => broker.reads.list(to, params),

  'task.show': ({ broker, to, params }) => broker.reads.detail(to, params.id, params.include),

  'task.wait': ({ broker, to, params, timeoutMs }) => broker.enqueue({ kind: 'wait', to, ...params, timeoutMs }),

  'task.cancel': ({ broker, to, params }) => broker.enqueue({ kind: 'cancel', to, ...params }),

  'task.complete': ({ broker, to, params, bodies: [result] }) => {
    const { payloadBytesMax: limit } = broker.limits;
    if (result !== undefined && result.length > limit)
      return fault('payload_too_large', `The result is ${result.length} bytes; the limit is ${limit}.`, { limit });
    const input: Input = {
      kind: 'complete',
      to,
      taskId: params.task_id,
      token: params.token,
      result: result && Uint8Array.prototype.slice.call(result),
    };
    broker.enqueue(input);
  },

  'task.fail': ({ broker, to, params }) => broker.enqueue({ kind: 'fail', to, failure: params }),

  'collector.register': ({ broker, to, params }) => {
    const { length } = encodeValue({ ...params, leases: [] });
    const { registrationBytesMax: limit } = broker.limits;
    if (length > limit)
      return fault(
        'invalid_params',
        `collector.register: the registration is ${length} bytes beside its leases; the limit is ${limit}.`,
        { limit },
      );
    broker.enqueue({ kind: 'register', to, registration: params });
  },

  'collector.heartbeat': ({ broker, to, params }) => broker.enqueue({ kind: 'heartbeat', to, report: params }),

  'collector.deregister': ({ broker, to, params }) => broker.enqueue({ kind: 'deregister', to, ...params }),

  'collector.list': ({ broker, to, params }) =>
    broker.reads.fromCore(to, (state, now) => ({ result: collectorPage(broker, state, now, params) })),

  'collector.show': ({ broker, to, params: { collector_id: id } }) =>
    broker.reads.fromCore(to, (state, now) => {
      const detail = collectorDetail(broker, state, now, id);
      return detail === undefined ? unknownCollector(id) : { result: detail };
    }),

  'collector.start': ({ broker, params: { collector_id } }) => manage(broker, collector_id, 'start'),
  'collector.stop': ({ broker, params: { collector_id } }) => manage(broker, collector_id, 'stop'),

  'routing.show': ({ broker, to }) => broker.reads.fromCore(to, (state) => ({ result: routingView(state) })),

  'store.status': ({ broker, to }) => broker.upkeep.status(to),
  'store.backup': ({ broker, to, params }) => broker.upkeep.backup(to, params.directory),
  'store.compact': ({ broker, to }) => broker.upkeep.compact(to),

  'routing.set': ({ broker, to, params }) =>
    broker.enqueue({ kind: 'route', to, strategy: params.strategy, operation: params.operation }),
};

function manage(
  broker: BrokerContext,
  id: string,
  what: 'start' | 'stop',
): { collector_id: string; status: CollectorView['status'] } | Fault {
  const { supervisor } = broker;
  if (supervisor?.has(id) !== true) {
    if (!broker.isRegistered(id))
      return fault(
        'not_found',
        `Collector ${id} is not declared in the configuration that the broker was started with, so the broker cannot ${what} it. See: deye collectors ls`,
        { collector_id: id },
      );
    return fault(
      'wrong_state',
      `Collector ${id} was not started by this broker, so the broker cannot ${what} it. Its own process decides.`,
      { collector_id: id },
    );
  }
  return supervisor[what](id) ?? { collector_id: id, status: what === 'start' ? 'starting' : 'draining' };
}

const unknownCollector = (id: string): Fault =>
  fault('not_found', `There is no collector "${id}". See: deye collectors ls`, { collector_id: id });
