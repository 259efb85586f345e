/** The calls that every collector answers, whatever it collects. */

import { type CollectorMethod, collectorMethods } from '../protocol/collector-method.ts';
import { FaultError, fault } from '../protocol/fault.ts';
import { type CollectorParams, type CollectorReply, parseParams } from './params.ts';
import type { CollectorRuntime } from './run.ts';

type Answers = {
  readonly [M in CollectorMethod]: (
    runtime: CollectorRuntime,
    params: CollectorParams<M>,
  ) => CollectorReply<M> | Promise<CollectorReply<M>>;
};

const answers: Answers = {
  health_check: (runtime) => {
    const { definition, attempts } = runtime;
    const own = definition.health?.() ?? {};
    const limitation = definition.limitation?.();
    const check = { last_check_at_ms: Date.now() };
    return {
      status: own.status ?? (limitation === undefined ? 'healthy' : 'degraded'),
      uptime_seconds: Math.floor((performance.now() - runtime.startedMonotonicMs) / 1000),
      components: { collection: { status: runtime.state, message: limitation ?? '', ...check }, ...own.components },
      metrics: {
        tasks: attempts.size,
        completed: attempts.completed,
        failed: attempts.failed,
        rss_bytes: process.memoryUsage.rss(),
        ...own.metrics,
      },
      error_count: attempts.failed,
      last_heartbeat_at_ms: runtime.lastHeartbeatAtMs,
    };
  },

  get_capabilities: ({ definition }) => ({
    event_types: (definition.eventDomains ?? []).map((domain) => `events.${domain}`),
    operations: Object.keys(definition.operations),
    resource_needs: {},
    platforms: [process.platform],
    features: [...(definition.capabilities ?? [])],
  }),

  start_collection: async (runtime, { config_overrides, startup_timeout_ms }) => {
    refuseWhileDraining(runtime);
    await runtime.collection.start(config_overrides, startup_timeout_ms);
    return { state: runtime.state };
  },

  stop_collection: async (runtime, { reason }) => {
    refuseWhileDraining(runtime);
    await runtime.collection.stop(reason);
    return { state: runtime.state };
  },

  update_config: (runtime, params) => runtime.collection.update(params),

  shutdown: (runtime, { type, graceful_timeout_ms, force_after_timeout, reason }) => {
    // The answer leaves first.
    setImmediate(() => {
      if (type === 'emergency') runtime.abandon();
      else if (type === 'immediate') runtime.halt(reason);
      else runtime.drain(reason, force_after_timeout ? graceful_timeout_ms : undefined);
    });
    return { accepted: true };
  },
};

/** Throws `unsupported_operation` or `invalid_params`. */
export function answerCall(runtime: CollectorRuntime, method: string, params: unknown): unknown {
  if (!isCollectorMethod(method))
    throw new FaultError(
      fault(
        'unsupported_operation',
        `Collector ${runtime.id} has no method "${method.slice(0, 80)}". It has: ${Object.keys(answers).join(', ')}.`,
      ),
    );
  return answer(runtime, method, params);
}

function answer<M extends CollectorMethod>(runtime: CollectorRuntime, method: M, params: unknown): unknown {
  return answers[method](runtime, parseParams(method, params));
}

const isCollectorMethod = (method: string): method is CollectorMethod => Object.hasOwn(collectorMethods, method);

function refuseWhileDraining({ id, state }: CollectorRuntime): void {
  if (state === 'draining')
    throw new FaultError(
      fault('wrong_state', `Collector ${id} is draining and ends soon.`, { collector_id: id, state }),
    );
}
