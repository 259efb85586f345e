/**
 * The conversation: every request, who may say it, and the shapes of its params and its reply. Types, validation,
 * dispatch, `--json` shapes, deye-protocol(7) and the fuzz corpus derive from this table. Publishes and the calls
 * between programs are the hot plane and are described in `frame.ts`.
 */
import { z } from 'zod';
import { limitTable } from './limits.ts';
import {
  collectorStatuses,
  collectorView,
  count,
  faultShape,
  health,
  identifier,
  ms,
  operationName,
  type Role,
  register,
  roles,
  routingView,
  snapshot,
  stateFilter,
  strategyNames,
  submitted,
  taskDetail,
  taskId,
  taskStates,
  taskSubmit,
  taskSummary,
} from './shape.ts';

export interface MethodRow<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly summary: string;
  readonly roles: readonly Role[];
  /** Whether the reply waits for a commit. */
  readonly durable: boolean;
  readonly faults: readonly string[];
  readonly params: P;
  readonly reply: R;
}

const row = <P extends z.ZodType, R extends z.ZodType>(of: MethodRow<P, R>): MethodRow<P, R> => of;
const everyone = roles;
const none = z.strictObject({});
const done = z.object({});

export const methodTable = {
  subscribe: row({
    summary: 'Adds patterns. Messages that match any of them and none of the excluded ones come once each.',
    roles: everyone,
    durable: false,
    faults: ['bad_pattern', 'too_many_subscriptions', 'not_allowed'],
    params: z.strictObject({
      patterns: z.array(z.string()).min(1).max(1000),
      exclude: z.array(z.string()).max(1000).default([]),
    }),
    reply: z.object({ subscriptions: count }),
  }),
  unsubscribe: row({
    summary: 'Takes patterns back; unknown ones are ignored.',
    roles: everyone,
    durable: false,
    faults: [],
    params: z.strictObject({ patterns: z.array(z.string()).min(1).max(1000) }),
    reply: z.object({ subscriptions: count }),
  }),
  health_check: row({
    summary: 'How the broker is.',
    roles: everyone,
    durable: false,
    faults: [],
    params: none,
    reply: health,
  }),
  get_capabilities: row({
    summary: 'What can be asked of this broker now: its methods, and the operations that collectors offer.',
    roles: everyone,
    durable: false,
    faults: [],
    params: none,
    reply: z.object({
      methods: z.array(z.string()),
      operations: z.record(z.string(), z.array(z.string())),
      features: z.array(z.string()),
    }),
  }),
  snapshot: row({
    summary: 'What `deye top` shows, once.',
    roles: everyone,
    durable: false,
    faults: [],
    params: none,
    reply: snapshot,
  }),
  shutdown: row({
    summary: 'Stops the broker. Graceful lets attempts in progress finish.',
    roles: ['operator'],
    durable: false,
    faults: ['not_allowed'],
    params: z.strictObject({
      type: z.enum(['graceful', 'immediate']).default('graceful'),
      reason: z.string().max(512).default(''),
    }),
    reply: z.object({ accepted: z.boolean() }),
  }),
  'log.level': row({
    summary: 'Changes the level of the log while running.',
    roles: ['operator'],
    durable: false,
    faults: ['not_allowed'],
    params: z.strictObject({ level: z.enum(['error', 'warn', 'info', 'debug', 'trace']) }),
    reply: z.object({ level: z.string() }),
  }),
  'task.submit': row({
    summary: 'Accepts one task; answered once it is on disk.',
    roles: ['operator', 'collector'],
    durable: true,
    faults: ['queue_full', 'payload_too_large', 'invalid_params', 'not_allowed'],
    params: taskSubmit,
    reply: submitted,
  }),
  'task.submit_batch': row({
    summary: 'Accepts up to 1,000 tasks in one commit, with one outcome each, in their order.',
    roles: ['operator', 'collector'],
    durable: true,
    faults: ['queue_full', 'payload_too_large', 'invalid_params', 'not_allowed'],
    params: z.strictObject({ tasks: z.array(taskSubmit).min(1).max(limitTable.batchMax.value) }),
    reply: z.object({ outcomes: z.array(z.union([submitted, faultShape])) }),
  }),
  'task.ls': row({
    summary:
      'Tasks by filter, newest first, a page at a time. `queued` means pending, `failed` means retrying and dead_letter.',
    roles: everyone,
    durable: false,
    faults: ['invalid_params'],
    params: z.strictObject({
      state: z.array(stateFilter).default([]),
      operation: z.string().optional(),
      collector_id: z.string().optional(),
      limit: z.number().int().min(1).max(1000).default(50),
      cursor: z.string().optional(),
    }),
    reply: z.object({ tasks: z.array(taskSummary), cursor: z.string().optional() }),
  }),
  'task.show': row({
    summary: 'One task with its attempts, payload and result.',
    roles: everyone,
    durable: false,
    faults: ['not_found'],
    params: z.strictObject({ id: taskId }),
    reply: taskDetail,
  }),
  'task.wait': row({
    summary: 'As task.show, but answered when the task has ended. The deadline of the request bounds the wait.',
    roles: everyone,
    durable: false,
    faults: ['not_found', 'deadline_exceeded'],
    params: z.strictObject({ id: taskId }),
    reply: taskDetail,
  }),
  'task.cancel': row({
    summary: 'Cancels a task that waits.',
    roles: ['operator', 'collector'],
    durable: true,
    faults: ['not_found', 'wrong_state', 'not_allowed'],
    params: z.strictObject({ id: taskId, reason: z.string().max(512).default('') }),
    reply: z.object({ id: z.string(), state: z.enum(taskStates) }),
  }),
  'task.complete': row({
    summary: 'The collector that holds this attempt hands in its result.',
    roles: ['collector'],
    durable: true,
    faults: ['stale_lease', 'payload_too_large', 'not_registered'],
    params: z.strictObject({ task_id: taskId, attempt: count, result: z.unknown().optional() }),
    reply: done,
  }),
  'task.fail': row({
    summary:
      'The collector that holds this attempt could not do it. `next`: retry (with backoff), give_up, or elsewhere (not me again).',
    roles: ['collector'],
    durable: true,
    faults: ['stale_lease', 'not_registered'],
    params: z.strictObject({
      task_id: taskId,
      attempt: count,
      error: z.strictObject({ code: z.string().max(64), message: z.string().max(8192) }),
      next: z.enum(['retry', 'give_up', 'elsewhere']).default('retry'),
      retry_after_ms: ms.optional(),
    }),
    reply: z.object({ state: z.enum(taskStates) }),
  }),
  'collector.register': row({
    summary:
      'This session is a collector, and what it can do. Tasks then come as publishes on `topic`. The same session may update itself.',
    roles: ['collector'],
    durable: false,
    faults: ['id_taken', 'invalid_params', 'not_allowed'],
    params: register,
    reply: z.object({
      topic: z.string(),
      heartbeat_ms: count,
      lease_ms: count,
      /** The attempts among `leases` that it may go on with; the others are lost and must be dropped. */
      kept: z.array(z.object({ task_id: z.string(), attempt: count })),
    }),
  }),
  'collector.heartbeat': row({
    summary: 'Says that the collector lives, and renews the leases named in it.',
    roles: ['collector'],
    durable: false,
    faults: ['not_registered'],
    params: z.strictObject({
      sequence: count,
      leases: z
        .array(z.strictObject({ task_id: taskId, attempt: count }))
        .max(10_000)
        .default([]),
      cpu_percent: z.number().min(0).optional(),
      rss_bytes: z.number().min(0).optional(),
      status: z.enum(['healthy', 'degraded', 'stopped']).default('healthy'),
      status_reason: z.string().max(512).default(''),
    }),
    reply: z.object({ lost: z.array(z.object({ task_id: z.string(), attempt: count })) }),
  }),
  'collector.deregister': row({
    summary: 'Takes the collector out. Without `force` it is drained: no new task, and gone when the last one ends.',
    roles: ['collector'],
    durable: false,
    faults: ['not_registered'],
    params: z.strictObject({ force: z.boolean().default(false), reason: z.string().max(512).default('') }),
    reply: z.object({ tasks: count }),
  }),
  'collector.ls': row({
    summary: 'The collectors, by id.',
    roles: everyone,
    durable: false,
    faults: [],
    params: none,
    reply: z.object({ collectors: z.array(collectorView) }),
  }),
  'collector.show': row({
    summary: 'One collector and the tasks it holds.',
    roles: everyone,
    durable: false,
    faults: ['not_found'],
    params: z.strictObject({ collector_id: identifier }),
    reply: collectorView.extend({
      holds: z.array(z.object({ task_id: z.string(), operation: z.string(), attempt: count, started_ms: z.number() })),
    }),
  }),
  'collector.start': row({
    summary: 'Starts a supervised collector that is stopped or quarantined.',
    roles: ['operator'],
    durable: false,
    faults: ['not_found', 'wrong_state', 'not_allowed'],
    params: z.strictObject({ collector_id: identifier }),
    reply: z.object({ collector_id: z.string(), status: z.enum(collectorStatuses) }),
  }),
  'collector.stop': row({
    summary: 'Stops a supervised collector: asks it, then SIGTERM, then SIGKILL.',
    roles: ['operator'],
    durable: false,
    faults: ['not_found', 'wrong_state', 'not_allowed'],
    params: z.strictObject({ collector_id: identifier }),
    reply: z.object({ collector_id: z.string(), status: z.enum(collectorStatuses) }),
  }),
  'routing.show': row({
    summary: 'The routing strategy and what it has decided.',
    roles: everyone,
    durable: false,
    faults: [],
    params: none,
    reply: routingView,
  }),
  'routing.set': row({
    summary: 'Changes the strategy, for the broker or for one operation, and remembers it.',
    roles: ['operator'],
    durable: true,
    faults: ['invalid_params', 'not_allowed'],
    params: z.strictObject({ strategy: z.enum(strategyNames), operation: operationName.optional() }),
    reply: routingView,
  }),
} as const satisfies Record<string, MethodRow>;

export type Method = keyof typeof methodTable;
export type Params<M extends Method> = z.input<(typeof methodTable)[M]['params']>;
export type ParamsParsed<M extends Method> = z.output<(typeof methodTable)[M]['params']>;
export type Reply<M extends Method> = z.output<(typeof methodTable)[M]['reply']>;

/** What a collector answers when it is called by its id. Names and shapes; the SDK answers all of them. */
export const collectorMethods = {
  health_check: { summary: 'How the collector is.', params: none, reply: health },
  get_capabilities: {
    summary: 'What it can do.',
    params: none,
    reply: z.object({
      event_types: z.array(z.string()),
      operations: z.array(z.string()),
      resource_needs: z.record(z.string(), z.number()),
      platforms: z.array(z.string()),
      features: z.array(z.string()),
    }),
  },
  start_collection: {
    summary: 'Begins to collect.',
    params: z.strictObject({
      config_overrides: z.record(z.string(), z.unknown()).default({}),
      startup_timeout_ms: ms.default(30_000),
    }),
    reply: z.object({ state: z.string() }),
  },
  stop_collection: {
    summary: 'Stops collecting; it stays connected and takes no tasks.',
    params: z.strictObject({ reason: z.string().max(512).default('') }),
    reply: z.object({ state: z.string() }),
  },
  update_config: {
    summary: 'Changes its configuration while it runs.',
    params: z.strictObject({
      changes: z.record(z.string(), z.unknown()),
      validate_only: z.boolean().default(false),
      rollback_on_failure: z.boolean().default(true),
    }),
    reply: z.object({
      version: count,
      changed_fields: z.array(z.string()),
      restarted: z.boolean(),
      validated: z.boolean(),
    }),
  },
  shutdown: {
    summary: 'Ends the collector.',
    params: z.strictObject({
      type: z.enum(['graceful', 'immediate', 'emergency']).default('graceful'),
      graceful_timeout_ms: ms.default(30_000),
      force_after_timeout: z.boolean().default(true),
      reason: z.string().max(512).default(''),
    }),
    reply: z.object({ accepted: z.boolean() }),
  },
} as const;
export type CollectorMethod = keyof typeof collectorMethods;

export const helloShape = z.object({
  protocol: z.string().max(16),
  name: z.string().min(1).max(128),
  version: z.string().max(64).default(''),
  role: z.enum(roles).default('operator'),
});
export type Hello = z.output<typeof helloShape>;

export interface Welcome {
  readonly protocol: string;
  readonly version: string;
  readonly session: string;
  readonly limits: { readonly frame_bytes_max: number; readonly ping_ms: number; readonly idle_ms: number };
}

/** What comes on `control.tasks.{type}.{id}`: a task to do, or the word that an attempt is no longer wanted. */
export interface Assignment {
  readonly kind: 'assign';
  readonly task_id: string;
  readonly operation: string;
  /** Also the fencing token: an answer must carry it. */
  readonly attempt: number;
  readonly priority: number;
  readonly timeout_ms: number;
  readonly lease_ms: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly correlation: Readonly<Record<string, unknown>>;
  readonly payload: unknown;
}

export interface AttemptCancel {
  readonly kind: 'cancel';
  readonly task_id: string;
  readonly attempt: number;
  readonly reason: string;
}
