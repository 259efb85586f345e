/** A collector as deye.yaml declares it: what to run and how to look after it. */
import { z } from 'zod';
import { collectorIdSchema, identifierSchema } from '../protocol/schema.ts';

/** The collectors that come with deye. */
export const builtinTypes = ['procmond'];

export const declarationSchema = z
  .strictObject({
    id: collectorIdSchema,
    type: identifierSchema,
    /** A program. Without it, the built-in collector of this type runs. */
    command: z.string().min(1).optional(),
    args: z.array(z.string()).default([]),
    env: z.record(z.string(), z.string()).default({}),
    /**
     * What it gets of the broker's environment: all, only what programs need to run at all, or that and the variables
     * named here. `env` is added in any case.
     */
    inherit_env: z
      .union([z.boolean(), z.array(z.string().min(1))], 'must be true, false or a list of names')
      .default(true),
    /** Default: the directory of the file that declares it; for a built-in one, that of the broker. */
    working_dir: z.string().optional(),
    enabled: z.boolean().default(true),
    auto_restart: z.boolean().default(true),
    max_restarts: z.number().int().min(0).max(100).default(5),
    restart_window_ms: z.number().int().min(1000).default(60_000),
    backoff_ms: z.number().int().min(10).default(1000),
    startup_timeout_ms: z.number().int().min(100).default(60_000),
  })
  .refine(({ type, command }) => command !== undefined || builtinTypes.includes(type), {
    message: 'has no command and is no built-in type',
    path: ['type'],
  });
export type CollectorDeclaration = z.output<typeof declarationSchema>;
