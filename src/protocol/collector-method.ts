/** The calls that every collector answers. */
import { z } from 'zod';
import { noParamsSchema } from './method-row.ts';
import { countSchema, reasonSchema, spanMsSchema } from './schema.ts';
import { healthSchema } from './view-schema.ts';

/** What a collector answers when it is called by its id. Names and shapes; the SDK answers all of them. */
export const collectorMethods = {
  health_check: { summary: 'How the collector is.', params: noParamsSchema, reply: healthSchema },
  get_capabilities: {
    summary: 'What it can do.',
    params: noParamsSchema,
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
      startup_timeout_ms: spanMsSchema.default(30_000),
    }),
    reply: z.object({ state: z.string() }),
  },
  stop_collection: {
    summary: 'Stops collecting; it stays connected and takes no tasks.',
    params: z.strictObject({ reason: reasonSchema }),
    reply: z.object({ state: z.string() }),
  },
  update_config: {
    summary: 'Changes its configuration while it runs. The version in the reply is a number that counts the changes.',
    params: z.strictObject({
      changes: z.record(z.string(), z.unknown()),
      validate_only: z.boolean().default(false),
      rollback_on_failure: z.boolean().default(true),
    }),
    reply: z.object({
      version: countSchema,
      changed_fields: z.array(z.string()),
      restarted: z.boolean(),
      validated: z.boolean(),
    }),
  },
  shutdown: {
    summary: 'Ends the collector.',
    params: z.strictObject({
      type: z.enum(['graceful', 'immediate', 'emergency']).default('graceful'),
      graceful_timeout_ms: spanMsSchema.default(30_000),
      force_after_timeout: z.boolean().default(true),
      reason: reasonSchema,
    }),
    reply: z.object({ accepted: z.boolean() }),
  },
} as const;
export type CollectorMethod = keyof typeof collectorMethods;
