/** The schemas of collectors: what they register, report, and how they are shown. */
import { z } from 'zod';
import {
  atMsSchema,
  collectorIdSchema,
  countSchema,
  identifierSchema,
  leasesSchema,
  operationNameSchema,
  reasonSchema,
  textMapSchema,
  textSchema,
} from './schema.ts';

export const collectorStatuses = [
  'starting',
  'healthy',
  'degraded',
  'failing',
  'quarantined',
  'draining',
  'stopped',
] as const;
const collectorStatusSchema = z.enum(collectorStatuses);

const priorityLevelsSchema = z
  .array(z.tuple([z.number().int().min(0).max(255), z.number().int().min(0).max(255)]))
  .max(16);
const reportedStatusSchema = z.enum(['healthy', 'degraded', 'stopped']).default('healthy');

export const registrationSchema = z.strictObject({
  collector_id: collectorIdSchema,
  collector_type: identifierSchema,
  version: textSchema(64).default('0'),
  hostname: textSchema(255).default(''),
  pid: countSchema.default(0),
  operations: z
    .array(z.strictObject({ name: operationNameSchema }))
    .min(1)
    .max(256),
  capabilities: z.array(identifierSchema).max(64).default([]),
  priority_levels: priorityLevelsSchema.default([[0, 255]]),
  max_concurrent_tasks: z.number().int().min(1).max(10_000).default(1),
  /** For the strategy `weighted`. */
  weight: z.number().min(0).max(1000).default(1),
  event_domains: z.array(identifierSchema).max(16).default([]),
  labels: textMapSchema.default({}),
  metadata: textMapSchema.default({}),
  status: reportedStatusSchema,
  status_reason: reasonSchema,
  /** Attempts still being worked on, from before a reconnect. */
  leases: leasesSchema,
});
export type Registration = z.input<typeof registrationSchema>;
export type RegistrationParsed = z.output<typeof registrationSchema>;

export const heartbeatSchema = z.strictObject({
  leases: leasesSchema,
  cpu_percent: z.number().min(0).optional(),
  rss_bytes: z.number().min(0).optional(),
  status: reportedStatusSchema,
  status_reason: reasonSchema,
});
export type Heartbeat = z.output<typeof heartbeatSchema>;

export const collectorViewSchema = z.object({
  collector_id: z.string(),
  collector_type: z.string(),
  version: z.string(),
  hostname: z.string(),
  pid: countSchema,
  operations: z.array(z.string()),
  capabilities: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  metadata: z.record(z.string(), z.string()),
  weight: z.number(),
  status: collectorStatusSchema,
  status_reason: z.string(),
  status_changed_at_ms: atMsSchema,
  tasks_in_progress: countSchema,
  max_concurrent_tasks: countSchema,
  completed: countSchema,
  failed: countSchema,
  last_heartbeat_at_ms: atMsSchema,
  cpu_percent: z.number().optional(),
  rss_bytes: z.number().optional(),
  confidence: z.number(),
  supervised: z.boolean(),
});
export type CollectorView = z.output<typeof collectorViewSchema>;
