/**
 * The schemas that requests and replies are made of: tasks, collectors, queues, the state of the whole. Spelt as they
 * are on the wire, everywhere. Spans end in `_ms`, instants (ms since the epoch, whole) in `_at_ms`;
 * only uptime is told in `_seconds`, and only commits are timed in `_us`.
 */
import { z } from 'zod';
import { limitTable } from './limits.ts';
import { stateFilters, taskStates } from './state.ts';

export const roles = ['operator', 'collector', 'observer'] as const;
export type Role = (typeof roles)[number];

/** Text of at most so many bytes of UTF-8. */
export const textSchema = (bytesMax: number) =>
  z
    .string()
    .max(bytesMax, `must be at most ${bytesMax} bytes`)
    .refine((text) => Buffer.byteLength(text) <= bytesMax, `must be at most ${bytesMax} bytes`);

export const identifierSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 of a-z 0-9 _ -, starting with a letter or digit');
export const operationNameSchema = identifierSchema;

/** What a call means by these targets is not a collector. */
export const reservedTargets = ['broker', 'any'] as const;
export const collectorIdSchema = identifierSchema.refine(
  (id) => !(reservedTargets as readonly string[]).includes(id),
  `must be another id than the call targets ${reservedTargets.join(' and ')}`,
);
export const taskIdSchema = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'must be a UUIDv7 in lower case');
export const spanMsSchema = z
  .number()
  .int()
  .min(0)
  .max(366 * 24 * 3_600_000);
export const countSchema = z.number().int().min(0);
export const atMsSchema = z.number().int().min(0);
export const reasonSchema = textSchema(512).default('');
export const textMapSchema = z
  .record(textSchema(128), textSchema(1024))
  .refine((map) => Object.keys(map).length <= 64, 'at most 64 entries');

export const priorityNames = { critical: 250, high: 200, normal: 100, low: 50 } as const;
const priorityRule = 'must be critical, high, normal, low, or a whole number from 0 to 255';
const prioritySchema = z.union(
  [
    z.number(priorityRule).int(priorityRule).min(0, priorityRule).max(255, priorityRule),
    z.enum(['critical', 'high', 'normal', 'low'], priorityRule),
  ],
  priorityRule,
);

export const stateSchema = z.enum(taskStates);
export const stateFilterSchema = z.enum(stateFilters);
const correlationSchema = z.strictObject({
  correlation_id: textSchema(256).min(1),
  parent_id: textSchema(256).optional(),
  root_id: textSchema(256).optional(),
  sequence: countSchema.optional(),
  stage: textSchema(128).optional(),
  tags: textMapSchema.optional(),
});

export const taskSubmitSchema = z.strictObject({
  operation: operationNameSchema,
  payload: z.unknown().optional(),
  id: taskIdSchema.optional(),
  priority: prioritySchema.default('normal'),
  requires: z.array(identifierSchema).max(16).default([]),
  labels: textMapSchema.default({}),
  collector_type: identifierSchema.optional(),
  collector_id: identifierSchema.optional(),
  /** What is left out here is as the broker is configured: taskTimeoutMs, retriesMax, backoffBaseMs, backoffCapMs. */
  timeout_ms: spanMsSchema.min(1).optional(),
  max_retries: z.number().int().min(0).max(100).optional(),
  backoff: z.strictObject({ base_ms: spanMsSchema.optional(), cap_ms: spanMsSchema.optional() }).default({}),
  metadata: textMapSchema.default({}),
  correlation: correlationSchema.optional(),
});
export type TaskSubmit = z.input<typeof taskSubmitSchema>;
export type TaskSubmitParsed = z.output<typeof taskSubmitSchema>;

/** Why a task waits: what would have to change for it to be handed out. */
const waitReasonSchema = z.object({
  code: z.enum(['no_capable_collector', 'no_healthy_collector', 'no_credit', 'stopping']),
  message: z.string(),
});
export type WaitReason = z.output<typeof waitReasonSchema>;

/** How durable an answer is: synced before it, at most 100 ms after it, or not at all (a broker that keeps nothing). */
export const syncs = ['batch', '100ms', 'none'] as const;
export type Sync = (typeof syncs)[number];

export const submittedSchema = z.object({
  id: z.string(),
  state: stateSchema,
  /** Waiting tasks that go before it, when it waits. */
  position: countSchema.optional(),
  /** The collector it went to, when it went at once. */
  collector_id: z.string().optional(),
  /** True when a task with this id was already there; nothing was added. */
  duplicate: z.boolean(),
  /** Set when no registered collector could ever do it. */
  warning: waitReasonSchema.optional(),
});
export type Submitted = z.output<typeof submittedSchema>;

export const faultSchema = z.object({
  code: z.string(),
  message: z.string(),
  category: z.string(),
  retry: z.boolean(),
  context: z.record(z.string(), z.unknown()),
});
const attemptErrorSchema = z.object({ code: z.string(), message: z.string() });

const attemptSchema = z.object({
  attempt: countSchema,
  collector_id: z.string(),
  started_at_ms: atMsSchema,
  ended_at_ms: atMsSchema,
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
  error: attemptErrorSchema.optional(),
});
export type AttemptOutcome = z.output<typeof attemptSchema>['outcome'];
export type Attempt = z.output<typeof attemptSchema>;

export const taskSummarySchema = z.object({
  id: z.string(),
  operation: z.string(),
  state: stateSchema,
  priority: countSchema,
  attempt: countSchema,
  max_retries: countSchema,
  collector_id: z.string().optional(),
  submitted_at_ms: atMsSchema,
  updated_at_ms: atMsSchema,
  /** When a retrying task becomes pending again. */
  ready_at_ms: atMsSchema.optional(),
  /** Why a pending task is not handed out. */
  waits_for: waitReasonSchema.optional(),
  error: attemptErrorSchema.optional(),
});
export type TaskSummary = z.output<typeof taskSummarySchema>;

export const taskDetailSchema = taskSummarySchema.extend({
  requires: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  collector_type: z.string().optional(),
  timeout_ms: countSchema,
  metadata: z.record(z.string(), z.string()),
  correlation: correlationSchema.optional(),
  attempts: z.array(attemptSchema),
  payload_bytes: countSchema,
  result_bytes: countSchema.optional(),
  /** Its payload and result were deleted to keep to `book_bytes_max`. */
  trimmed: z.literal(true).optional(),
  /** When `include` names it. */
  payload: z.unknown().optional(),
  /** When `include` names it and the task completed. */
  result: z.unknown().optional(),
});
export type TaskDetail = z.output<typeof taskDetailSchema>;

/** One attempt that is held: the task, and the lease's token as it came with the assignment. */
export const leaseSchema = z.strictObject({ task_id: taskIdSchema, token: textSchema(64).min(1) });
export type Lease = z.output<typeof leaseSchema>;
export const leasesSchema = z.array(leaseSchema).max(limitTable.leasesMax.value).default([]);

export const failureSchema = z.strictObject({
  task_id: taskIdSchema,
  token: leaseSchema.shape.token,
  error: z.strictObject({ code: textSchema(64), message: textSchema(8192) }),
  next: z.enum(['retry', 'give_up', 'elsewhere']).default('retry'),
  retry_after_ms: spanMsSchema.optional(),
});
export type Failure = z.output<typeof failureSchema>;
