/** What the values of deye.yaml may be. */
import { z } from 'zod';
import { ConfigurationError } from '../configuration/error.ts';
import { type ConfigurationFile, type fileKeys, unknownKey } from '../configuration/file.ts';
import { placements } from '../core/placement.ts';
import { declarationSchema } from './collector-declaration.ts';

export const diskSyncs = ['batch', '100ms'] as const;
export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;

export const configurationSchema = z.strictObject({
  socket: z.string().optional(),
  state_dir: z.string().optional(),
  log_level: z.enum(logLevels).optional(),
  /** How durable a commit is when it is answered. */
  sync: z.enum(diskSyncs).optional(),
  routing: z.strictObject({ strategy: z.enum([...placements.keys()]) }).optional(),
  /** Checked against the table of limits by `limit-settings.ts`. */
  limits: z.record(z.string(), z.unknown()).optional(),
  collectors: z
    .array(declarationSchema)
    .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, 'two collectors have the same id')
    .optional(),
} satisfies Record<(typeof fileKeys)[number], z.ZodType>);

export type CheckedFile = ConfigurationFile<z.output<typeof configurationSchema>>;

/** Throws a ConfigurationError that names the file, the key and the rule. */
export function checkFile({ path, directory, values }: ConfigurationFile): CheckedFile {
  const checked = configurationSchema.safeParse(values);
  if (checked.success) return { path, directory, values: checked.data };
  // A key that is misspelt explains why another one is missing.
  const { issues } = checked.error;
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  const at = issue.path.map(String).join('.');
  if (issue.code !== 'unrecognized_keys') throw new ConfigurationError(`${path}: ${at}: ${issue.message}.`);
  const known = issue.path[0] === 'collectors' ? Object.keys(declarationSchema.shape) : ['strategy'];
  throw unknownKey(`${path}: ${at}`, issue.keys[0]!, known);
}
