/** How a session begins: the hello of the client, the welcome of the broker. */
import { z } from 'zod';
import { roles, textSchema } from './schema.ts';

/** Opens a session. A role is what a client requests; on the local socket its owner may have any. */
export const helloSchema = z.object({
  protocol: textSchema(16),
  name: textSchema(128).min(1),
  version: textSchema(64).default(''),
  role: z.enum(roles).default('operator'),
});

export interface Welcome {
  readonly protocol: string;
  readonly version: string;
  /** Opaque, and unique over all starts and machines. */
  readonly session: string;
  readonly limits: { readonly frame_bytes_max: number; readonly ping_ms: number; readonly idle_ms: number };
}
