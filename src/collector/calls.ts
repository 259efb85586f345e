/** The calls that every collector answers, whatever it collects. */
import { FaultError } from '../protocol/fault.ts';
import type { CollectorMethod } from '../protocol/message.ts';
import type { Health } from '../protocol/schema.ts';
import type { Worker } from './run.ts';

type Params = Readonly<Record<string, unknown>>;

const answers: Record<CollectorMethod, (worker: Worker, params: Params) => unknown> = {
  health_check: (worker): Health => {
    const { definition } = worker;
    const own = definition.health?.() ?? {};
    const limitation = definition.limitation?.();
    const check = { last_check_at_ms: Date.now() };
    return {
      status: own.status ?? (limitation === undefined ? 'healthy' : 'degraded'),
      uptime_seconds: (Date.now() - worker.startedAtMs) / 1000,
      components: { collection: { status: worker.state, message: limitation ?? '', ...check }, ...own.components },
      metrics: {
        tasks: worker.held.size,
        completed: worker.completed,
        failed: worker.failed,
        rss_bytes: process.memoryUsage.rss(),
        ...own.metrics,
      },
      error_count: worker.failed,
      last_heartbeat_at_ms: worker.lastHeartbeatAtMs,
    };
  },

  get_capabilities: ({ definition }) => ({
    event_types: (definition.eventDomains ?? []).map((domain) => `events.${domain}`),
    operations: Object.keys(definition.operations),
    resource_needs: {},
    platforms: [process.platform],
    features: [...(definition.capabilities ?? [])],
  }),

  start_collection: async (worker, { config_overrides = {} }) => {
    refuseWhileDraining(worker);
    await worker.start(config_overrides as Params);
    await worker.setState('collecting');
    return { state: 'collecting' };
  },

  stop_collection: async (worker, { reason = '' }) => {
    refuseWhileDraining(worker);
    await worker.definition.stop?.(String(reason));
    await worker.setState('stopped');
    return { state: 'stopped' };
  },

  update_config: async (worker, { changes = {}, validate_only = false }) => {
    const { configure } = worker.definition;
    const fields = Object.keys(changes as object);
    if (configure === undefined)
      throw new FaultError({
        code: 'unsupported_operation',
        message: `Collector ${worker.id} has nothing to configure.`,
        category: 'configuration',
      });
    try {
      await configure(changes as Params, validate_only === true);
    } catch (error) {
      throw new FaultError({
        code: 'invalid_params',
        message: (error as Error).message,
        category: 'configuration',
        context: { version: worker.configVersion },
      });
    }
    if (validate_only !== true) worker.configVersion++;
    return {
      version: worker.configVersion,
      changed_fields: validate_only === true ? [] : fields,
      restarted: false,
      validated: true,
    };
  },

  shutdown: (worker, { type = 'graceful', graceful_timeout_ms = 30_000, reason = '' }) => {
    // The answer leaves first.
    setImmediate(() => {
      void worker.drain(String(reason), Number(graceful_timeout_ms));
      if (type !== 'graceful') void worker.drain(String(reason));
    });
    return { accepted: true };
  },
};

export function answerCall(worker: Worker, method: string, params: unknown): unknown {
  if (!Object.hasOwn(answers, method))
    throw new FaultError({
      code: 'unsupported_operation',
      message: `Collector ${worker.id} has no method "${method.slice(0, 80)}". It has: ${Object.keys(answers).join(', ')}.`,
      category: 'configuration',
    });
  if (params !== null && (typeof params !== 'object' || Array.isArray(params)))
    throw new FaultError({
      code: 'invalid_params',
      message: `The params of ${method} must be a map.`,
      category: 'configuration',
    });
  return answers[method as CollectorMethod](worker, (params ?? {}) as Params);
}

function refuseWhileDraining(worker: Worker): void {
  if (worker.state === 'draining')
    throw new FaultError({
      code: 'wrong_state',
      message: `Collector ${worker.id} is draining and ends soon.`,
      category: 'configuration',
    });
}
