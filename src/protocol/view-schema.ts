/** The schemas of the whole at one moment: queues, routing, health, the snapshot. */
import { z } from 'zod';
import { collectorViewSchema } from './collector-schema.ts';
import { atMsSchema, countSchema, syncs } from './schema.ts';

const queueViewSchema = z.object({
  operation: z.string(),
  pending: countSchema,
  high: countSchema,
  normal: countSchema,
  low: countSchema,
  retrying: countSchema,
  in_progress: countSchema,
  completed: countSchema,
  failed: countSchema,
  dead_letter: countSchema,
  oldest_at_ms: atMsSchema.optional(),
  /** Whether a task waits that no registered collector could ever do. */
  unservable: z.boolean(),
});
export type QueueView = z.output<typeof queueViewSchema>;

const totalsSchema = z.object({
  submitted: countSchema,
  assigned: countSchema,
  completed: countSchema,
  failed_attempts: countSchema,
  retried: countSchema,
  requeued: countSchema,
  dead_lettered: countSchema,
  cancelled: countSchema,
});
export type Totals = z.output<typeof totalsSchema>;

export const routingViewSchema = z.object({
  strategy: z.string(),
  per_operation: z.record(z.string(), z.string()),
  /** The strategies there are, and what each does. */
  strategies: z.record(z.string(), z.string()),
  decisions: z.record(z.string(), countSchema),
  /** Of the collectors that are registered now. */
  by_collector: z.record(z.string(), countSchema),
  /** Planned assignments that no longer fitted when they were carried out. */
  plans_dropped: countSchema,
});
export type RoutingView = z.output<typeof routingViewSchema>;

export const healthSchema = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  /** The one span in seconds. */
  uptime_seconds: countSchema,
  components: z.record(z.string(), z.object({ status: z.string(), message: z.string(), last_check_at_ms: atMsSchema })),
  metrics: z.record(z.string(), z.number()),
  error_count: countSchema,
  last_heartbeat_at_ms: atMsSchema.nullable(),
});
export type Health = z.output<typeof healthSchema>;

export const snapshotSchema = z.object({
  broker: z.object({
    version: z.string(),
    pid: countSchema,
    socket: z.string(),
    store: z.string(),
    /** How durable a commit is when it is answered. */
    sync: z.enum(syncs),
    /** Nothing new is accepted: the disk is full. */
    is_store_full: z.boolean(),
    /** The file of its log; none when it runs in the foreground. */
    log: z.string().optional(),
    started_at_ms: atMsSchema,
    /** By the monotonic clock: rates are differences over this. */
    uptime_ms: countSchema,
    at_ms: atMsSchema,
    sessions: countSchema,
    rss_bytes: countSchema,
    /** How long the latest commit took; spans of commits alone are in µs. */
    commit_us: countSchema,
    stop_grace_ms: countSchema,
  }),
  totals: totalsSchema,
  waiting: countSchema,
  in_progress: countSchema,
  /** The busiest operations; `operation_count` says how many there are. */
  queues: z.array(queueViewSchema),
  operation_count: countSchema,
  /** At most as many as operations, without labels, metadata, capabilities and more than 8 operations each. */
  collectors: z.array(collectorViewSchema),
  collector_count: countSchema,
  routing: routingViewSchema,
  relay: z.object({
    published: countSchema,
    delivered: countSchema,
    dropped: countSchema,
    /** Pauses of realtime publishers for full subscribers. */
    stalls: countSchema,
    calls: countSchema,
    subscriptions: countSchema,
  }),
});
export type Snapshot = z.output<typeof snapshotSchema>;

/** Where the broker publishes a Snapshot every second while it has subscribers. */
export const statusTopic = 'control.health.status';
