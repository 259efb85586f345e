/**
 * The shapes that requests and replies are made of: tasks, collectors, queues, the state of the whole. Spelt as they
 * are on the wire, everywhere.
 */
import { z } from 'zod';
import { defaultLimits } from './limits.ts';

export const roles = ['operator', 'collector', 'observer'] as const;
export type Role = (typeof roles)[number];

export const identifier = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 of a-z 0-9 _ -, starting with a letter or digit');
export const operationName = identifier;
export const taskId = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'must be a UUIDv7 in lower case');
export const ms = z
  .number()
  .int()
  .min(0)
  .max(366 * 24 * 3_600_000);
export const count = z.number().int().min(0);
const plainMap = z
  .record(z.string().max(128), z.string().max(1024))
  .refine((map) => Object.keys(map).length <= 64, 'at most 64 entries');

export const priorityNames = { critical: 250, high: 200, normal: 100, low: 50 } as const;
export const priority = z.union([z.number().int().min(0).max(255), z.enum(['critical', 'high', 'normal', 'low'])]);

export const taskStates = ['pending', 'in_progress', 'retrying', 'completed', 'dead_letter', 'cancelled'] as const;
export const collectorStatuses = [
  'starting',
  'healthy',
  'degraded',
  'failing',
  'quarantined',
  'draining',
  'stopped',
] as const;
export const strategyNames = ['least_loaded', 'round_robin'] as const;
export const stateFilter = z.enum([...taskStates, 'queued', 'failed']);

export const correlation = z.strictObject({
  correlation_id: z.string().min(1).max(256),
  parent_id: z.string().max(256).optional(),
  root_id: z.string().max(256).optional(),
  sequence: count.optional(),
  stage: z.string().max(128).optional(),
  tags: plainMap.optional(),
});

export const taskSubmit = z.strictObject({
  operation: operationName,
  payload: z.unknown().optional(),
  id: taskId.optional(),
  priority: priority.default('normal'),
  requires: z.array(identifier).max(16).default([]),
  labels: plainMap.default({}),
  collector_type: identifier.optional(),
  collector_id: identifier.optional(),
  timeout_ms: ms.min(1).default(defaultLimits.taskTimeoutMs),
  max_retries: z.number().int().min(0).max(100).default(defaultLimits.retriesMax),
  backoff: z
    .strictObject({ base_ms: ms.default(defaultLimits.backoffBaseMs), cap_ms: ms.default(defaultLimits.backoffCapMs) })
    .default({ base_ms: defaultLimits.backoffBaseMs, cap_ms: defaultLimits.backoffCapMs }),
  metadata: plainMap.default({}),
  correlation: correlation.optional(),
});
export type TaskSubmit = z.input<typeof taskSubmit>;
export type TaskSubmitParsed = z.output<typeof taskSubmit>;

export const submitted = z.object({
  id: z.string(),
  state: z.enum(taskStates),
  /** Waiting tasks that go before it, when it waits. */
  position: count.optional(),
  /** The collector it went to, when it went at once. */
  collector_id: z.string().optional(),
  /** True when a task with this id was already there; nothing was added. */
  duplicate: z.boolean(),
  warning: z.object({ code: z.literal('no_capable_collector'), message: z.string() }).optional(),
});
export type Submitted = z.output<typeof submitted>;

export const faultShape = z.object({
  code: z.string(),
  message: z.string(),
  category: z.string(),
  retry: z.boolean(),
  context: z.record(z.string(), z.unknown()),
});
const attemptError = z.object({ code: z.string(), message: z.string() });

export const attempt = z.object({
  attempt: count,
  collector_id: z.string(),
  started_ms: z.number(),
  ended_ms: z.number(),
  outcome: z.enum([
    'completed',
    'failed',
    'gave_up',
    'timed_out',
    'lease_expired',
    'connection_lost',
    'collector_silent',
    'not_reclaimed',
  ]),
  error: attemptError.optional(),
});
export type AttemptOutcome = z.output<typeof attempt>['outcome'];
export type Attempt = z.output<typeof attempt>;

export const taskSummary = z.object({
  id: z.string(),
  operation: z.string(),
  state: z.enum(taskStates),
  priority: count,
  attempt: count,
  max_retries: count,
  collector_id: z.string().optional(),
  submitted_ms: z.number(),
  updated_ms: z.number(),
  /** When a retrying task becomes pending again. */
  ready_ms: z.number().optional(),
  error: attemptError.optional(),
});
export type TaskSummary = z.output<typeof taskSummary>;

export const taskDetail = taskSummary.extend({
  requires: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  collector_type: z.string().optional(),
  timeout_ms: z.number(),
  metadata: z.record(z.string(), z.string()),
  correlation: correlation.optional(),
  attempts: z.array(attempt),
  payload: z.unknown(),
  result: z.unknown().optional(),
});
export type TaskDetail = z.output<typeof taskDetail>;

const priorityLevels = z.array(z.tuple([z.number().int().min(0).max(255), z.number().int().min(0).max(255)])).max(16);

export const register = z.strictObject({
  collector_id: identifier,
  collector_type: identifier,
  version: z.string().max(64).default('0'),
  hostname: z.string().max(255).default(''),
  pid: count.default(0),
  operations: z
    .array(z.strictObject({ name: operationName, version: z.string().max(64).optional() }))
    .min(1)
    .max(256),
  capabilities: z.array(identifier).max(64).default([]),
  priority_levels: priorityLevels.default([[0, 255]]),
  max_concurrent_tasks: z.number().int().min(1).max(10_000).default(1),
  weight: z.number().min(0).max(1000).default(1),
  event_domains: z.array(identifier).max(16).default([]),
  labels: plainMap.default({}),
  metadata: plainMap.default({}),
  status: z.enum(['healthy', 'degraded', 'stopped']).default('healthy'),
  status_reason: z.string().max(512).default(''),
  /** Attempts still being worked on, from before a reconnect. */
  leases: z
    .array(z.strictObject({ task_id: taskId, attempt: count }))
    .max(10_000)
    .default([]),
});
export type CollectorRegister = z.input<typeof register>;
export type CollectorRegisterParsed = z.output<typeof register>;

export const collectorView = z.object({
  collector_id: z.string(),
  collector_type: z.string(),
  version: z.string(),
  hostname: z.string(),
  pid: z.number(),
  operations: z.array(z.string()),
  capabilities: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  metadata: z.record(z.string(), z.string()),
  status: z.enum(collectorStatuses),
  status_reason: z.string(),
  status_since_ms: z.number(),
  tasks: count,
  max_concurrent_tasks: count,
  completed: count,
  failed: count,
  last_heartbeat_ms: z.number(),
  cpu_percent: z.number().optional(),
  rss_bytes: z.number().optional(),
  confidence: z.number(),
  supervised: z.boolean(),
});
export type CollectorView = z.output<typeof collectorView>;

const queueView = z.object({
  operation: z.string(),
  pending: count,
  high: count,
  normal: count,
  low: count,
  retrying: count,
  in_progress: count,
  completed: count,
  failed: count,
  dead_letter: count,
  oldest_ms: z.number().optional(),
  warning: z.literal('no_capable_collector').optional(),
});
export type QueueView = z.output<typeof queueView>;

const totals = z.object({
  submitted: count,
  distributed: count,
  completed: count,
  failed_attempts: count,
  retried: count,
  returned: count,
  dead_lettered: count,
  cancelled: count,
});
export type Totals = z.output<typeof totals>;

export const routingView = z.object({
  strategy: z.enum(strategyNames),
  per_operation: z.record(z.string(), z.enum(strategyNames)),
  decisions: z.record(z.string(), count),
  by_collector: z.record(z.string(), count),
});
export type RoutingView = z.output<typeof routingView>;

export const health = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  uptime_seconds: z.number(),
  components: z.record(z.string(), z.object({ status: z.string(), message: z.string(), last_check: z.number() })),
  metrics: z.record(z.string(), z.number()),
  error_count: count,
  last_heartbeat: z.number().nullable(),
});
export type Health = z.output<typeof health>;

export const snapshot = z.object({
  broker: z.object({
    version: z.string(),
    pid: z.number(),
    socket: z.string(),
    store: z.string(),
    started_ms: z.number(),
    now_ms: z.number(),
    sessions: count,
    rss_bytes: count,
    commit_ms: z.number(),
  }),
  totals,
  queues: z.array(queueView),
  collectors: z.array(collectorView),
  routing: routingView,
  relay: z.object({ published: count, delivered: count, dropped: count, calls: count, subscriptions: count }),
});
export type Snapshot = z.output<typeof snapshot>;

/** Where the broker publishes a Snapshot every second while somebody subscribes. */
export const statusTopic = 'control.health.status';
