/**
 * The methods of the broker: every request, the roles that may send it, and the schemas of its params and its reply. Types, validation,
 * dispatch and deye-protocol(7) derive from this table, and while the tests run every reply and fault is held against
 * its row. Publishes and the calls between programs are the hot plane and are described in `frame.ts`.
 */
import { z } from 'zod';
import { collectorStatuses, collectorViewSchema, heartbeatSchema, registrationSchema } from './collector-schema.ts';
import { limitTable } from './limits.ts';
import { type MethodRow, noParamsSchema, row } from './method-row.ts';
import {
  countSchema,
  failureSchema,
  faultSchema,
  identifierSchema,
  leaseSchema,
  operationNameSchema,
  reasonSchema,
  roles,
  stateFilterSchema,
  stateSchema,
  submittedSchema,
  syncs,
  taskDetailSchema,
  taskIdSchema,
  taskSubmitSchema,
  taskSummarySchema,
} from './schema.ts';
import { bodyNames } from './state.ts';
import { storeMethods } from './store-methods.ts';
import { healthSchema, routingViewSchema, snapshotSchema } from './view-schema.ts';

const everyone = roles;
/** What every answer says that promises to keep something. */
const promised = { sync: z.enum(syncs) };

export const methodTable = {
  'topic.subscribe': row({
    summary: 'Adds patterns. Messages that match any of them and none of the excluded ones come once each.',
    roles: everyone,
    durable: false,
    faults: ['bad_pattern', 'too_many_subscriptions'],
    params: z.strictObject({
      patterns: z.array(z.string()).min(1).max(1000),
      exclude: z.array(z.string()).max(1000).default([]),
    }),
    reply: z.object({ subscriptions: countSchema }),
  }),
  'topic.unsubscribe': row({
    summary: 'Takes patterns back; unknown ones are ignored.',
    roles: everyone,
    durable: false,
    faults: [],
    params: z.strictObject({ patterns: z.array(z.string()).min(1).max(1000) }),
    reply: z.object({ subscriptions: countSchema }),
  }),
  'broker.health': row({
    summary: 'How the broker is.',
    roles: everyone,
    durable: false,
    faults: [],
    params: noParamsSchema,
    reply: healthSchema,
  }),
  'broker.capabilities': row({
    summary: 'The methods of this broker, and the operations that collectors offer now.',
    roles: everyone,
    durable: false,
    faults: [],
    params: noParamsSchema,
    reply: z.object({
      methods: z.array(z.string()),
      /** The collectors that offer each operation. */
      collectors_by_operation: z.record(z.string(), z.array(z.string())),
      features: z.array(z.string()),
    }),
  }),
  'broker.snapshot': row({
    summary: 'What `deye top` shows, once.',
    roles: everyone,
    durable: false,
    faults: [],
    params: noParamsSchema,
    reply: snapshotSchema,
  }),
  'broker.shutdown': row({
    summary: 'Stops the broker. Graceful lets attempts in progress finish.',
    roles: ['operator'],
    durable: false,
    faults: [],
    params: z.strictObject({
      type: z.enum(['graceful', 'immediate']).default('graceful'),
      reason: reasonSchema,
    }),
    reply: z.object({ accepted: z.boolean() }),
  }),
  'broker.log_level': row({
    summary: 'Changes the level of the log while running.',
    roles: ['operator'],
    durable: false,
    faults: [],
    params: z.strictObject({ level: z.enum(['error', 'warn', 'info', 'debug', 'trace']) }),
    reply: z.object({ level: z.string() }),
  }),
  'task.submit': row({
    summary: 'Accepts one task; answered once it is on disk.',
    roles: ['operator', 'collector'],
    durable: true,
    faults: ['queue_full', 'payload_too_large', 'too_many_operations', 'broker_stopping', 'id_expired', 'store_full'],
    params: taskSubmitSchema,
    reply: submittedSchema.extend(promised),
  }),
  'task.submit_batch': row({
    summary: 'Accepts up to 1,000 tasks in one commit, with one outcome each, in their order.',
    roles: ['operator', 'collector'],
    durable: true,
    faults: ['store_full'],
    params: z.strictObject({
      /** Each a map as for task.submit; one that is refused has its fault as its outcome. */
      tasks: z.array(z.unknown()).min(1).max(limitTable.batchMax.value),
    }),
    reply: z.object({ outcomes: z.array(z.union([submittedSchema, faultSchema])), ...promised }),
  }),
  'task.list': row({
    summary:
      'Tasks by filter, newest first, a page at a time. `queued` means pending, `failed` means retrying and dead_letter.',
    roles: everyone,
    durable: false,
    faults: [],
    params: z.strictObject({
      state: z.array(stateFilterSchema).default([]),
      operation: z.string().optional(),
      collector_id: z.string().optional(),
      limit: z.number().int().min(1).max(1000).default(50),
      cursor: z.string().optional(),
    }),
    reply: z.object({ tasks: z.array(taskSummarySchema), cursor: z.string().optional() }),
  }),
  'task.show': row({
    summary:
      'One task with its attempts. Its bodies come when `include` names them; one of them always fits a frame, two may not (reply_too_large).',
    roles: everyone,
    durable: false,
    faults: ['not_found'],
    params: z.strictObject({ id: taskIdSchema, include: z.array(z.enum(bodyNames)).max(2).default([]) }),
    reply: taskDetailSchema,
  }),
  'task.wait': row({
    summary:
      'As task.show, but answered when the task has ended. The timeout of the request bounds the wait, at most waitMsMax.',
    roles: everyone,
    durable: false,
    faults: ['not_found', 'too_many_waits', 'deadline_exceeded', 'cancelled'],
    params: z.strictObject({ id: taskIdSchema, include: z.array(z.enum(bodyNames)).max(2).default(['result']) }),
    reply: taskDetailSchema,
  }),
  'task.cancel': row({
    summary: 'Cancels a task that waits.',
    roles: ['operator', 'collector'],
    durable: true,
    faults: ['not_found', 'wrong_state', 'store_full'],
    params: z.strictObject({ id: taskIdSchema, reason: reasonSchema }),
    reply: z.object({ id: z.string(), state: stateSchema, ...promised }),
  }),
  'task.complete': row({
    summary: 'The collector that holds this attempt hands in its result.',
    roles: ['collector'],
    durable: true,
    faults: ['stale_lease', 'payload_too_large', 'store_full'],
    params: leaseSchema.extend({ result: z.unknown().optional() }),
    reply: z.object(promised),
  }),
  'task.fail': row({
    summary:
      'The collector that holds this attempt could not do it. `next`: retry (with backoff), give_up, or elsewhere (not me again).',
    roles: ['collector'],
    durable: true,
    faults: ['stale_lease', 'store_full'],
    params: failureSchema,
    reply: z.object({ state: stateSchema, ...promised }),
  }),
  'collector.register': row({
    summary:
      'This session is a collector, and what it can do. Tasks then come as publishes on `topic`. The same session may update itself.',
    roles: ['collector'],
    durable: false,
    faults: ['id_taken', 'store_full'],
    params: registrationSchema,
    reply: z.object({
      topic: z.string(),
      heartbeat_ms: countSchema,
      lease_ms: countSchema,
      /** Those of `leases` that it may go on with; the others are lost and must be dropped. */
      reclaimed: z.array(leaseSchema),
    }),
  }),
  'collector.heartbeat': row({
    summary: 'Reports that the collector lives, and renews the leases named in it.',
    roles: ['collector'],
    durable: false,
    faults: ['not_registered'],
    params: heartbeatSchema,
    reply: z.object({ lost: z.array(leaseSchema) }),
  }),
  'collector.deregister': row({
    summary: 'Takes the collector out. Without `force` it is drained: no new task, and gone when the last one ends.',
    roles: ['collector'],
    durable: false,
    faults: ['not_registered', 'store_full'],
    params: z.strictObject({ force: z.boolean().default(false), reason: reasonSchema }),
    reply: z.object({ tasks_in_progress: countSchema }),
  }),
  'collector.list': row({
    summary: 'The collectors by id, a page at a time. A page of the default limits always fits a frame.',
    roles: everyone,
    durable: false,
    faults: [],
    params: z.strictObject({
      limit: z.number().int().min(1).max(200).default(200),
      cursor: z.string().optional(),
    }),
    reply: z.object({ collectors: z.array(collectorViewSchema), cursor: z.string().optional() }),
  }),
  'collector.show': row({
    summary: 'One collector and the tasks it holds.',
    roles: everyone,
    durable: false,
    faults: ['not_found'],
    params: z.strictObject({ collector_id: identifierSchema }),
    reply: collectorViewSchema.extend({
      holds: z.array(
        z.object({ task_id: z.string(), operation: z.string(), attempt: countSchema, started_at_ms: countSchema }),
      ),
    }),
  }),
  'collector.start': row({
    summary: 'Starts a supervised collector that is stopped or quarantined.',
    roles: ['operator'],
    durable: false,
    faults: ['not_found', 'wrong_state'],
    params: z.strictObject({ collector_id: identifierSchema }),
    reply: z.object({ collector_id: z.string(), status: z.enum(collectorStatuses) }),
  }),
  'collector.stop': row({
    summary: 'Stops a supervised collector: by a request to it, then SIGTERM, then SIGKILL.',
    roles: ['operator'],
    durable: false,
    faults: ['not_found', 'wrong_state'],
    params: z.strictObject({ collector_id: identifierSchema }),
    reply: z.object({ collector_id: z.string(), status: z.enum(collectorStatuses) }),
  }),
  'routing.show': row({
    summary: 'The routing strategy and what it has decided.',
    roles: everyone,
    durable: false,
    faults: [],
    params: noParamsSchema,
    reply: routingViewSchema,
  }),
  'routing.set': row({
    summary:
      'Changes the strategy, for the broker or for one operation, and remembers it. routing.show lists the strategies; "default" takes back that of an operation.',
    roles: ['operator'],
    durable: true,
    faults: ['too_many_operations', 'store_full'],
    params: z.strictObject({ strategy: identifierSchema, operation: operationNameSchema.optional() }),
    reply: z.object({ strategy: z.string(), operation: z.string().optional(), ...promised }),
  }),
  ...storeMethods,
} as const satisfies Record<string, MethodRow>;

export type Method = keyof typeof methodTable;
export type Params<M extends Method> = z.input<(typeof methodTable)[M]['params']>;
export type ParamsParsed<M extends Method> = z.output<(typeof methodTable)[M]['params']>;
export type Reply<M extends Method> = z.output<(typeof methodTable)[M]['reply']>;
