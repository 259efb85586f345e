/** The methods that look at the store, copy it and tidy it, while everything else goes on. */
import { z } from 'zod';
import { noParamsSchema, row } from './method-row.ts';
import { atMsSchema, countSchema, syncs, textSchema } from './schema.ts';

export const storeStatusSchema = z.object({
  engine: z.enum(['journal', 'memory']),
  /** Of the store's files. */
  directory: z.string().optional(),
  /** How durable a commit is when it is answered. */
  sync: z.enum(syncs).optional(),
  /** Nothing new is accepted: the disk is full. */
  is_full: z.boolean(),
  store_id: z.string().optional(),
  epoch: countSchema,
  live_tasks: countSchema,
  payloads: z.object({ bytes_in_memory: countSchema, count_on_disk: countSchema }),
  journal: z
    .object({
      /** All segments in use, as on the disk. */
      bytes_used: countSchema,
      /** On the disk beside them, kept ready for what comes. */
      bytes_ready: countSchema,
      /** What lives, as it would be written again, about. */
      bytes_alive: countSchema,
      segments: countSchema,
      first_sequence: countSchema,
      last_sequence: countSchema,
      synced_sequence: countSchema,
      /** Who keeps what from being released: from which batch on. */
      held_from: z.record(z.string(), countSchema),
    })
    .optional(),
  book: z
    .object({
      /** The last batch that is in it. */
      sequence: countSchema,
      /** Batches that it has not taken in yet. */
      behind_batches: countSchema,
      bytes: countSchema,
      ended_tasks: countSchema,
    })
    .optional(),
});
export type StoreStatus = z.output<typeof storeStatusSchema>;

const shrunkSchema = z.object({ bytes_before: countSchema, bytes_after: countSchema });

const compactedSchema = z.object({
  /** `ready_…`: on the disk beside the segments in use, kept for what comes. */
  journal: shrunkSchema.extend({ ready_before: countSchema, ready_after: countSchema }),
  book: shrunkSchema,
});
export type Compacted = z.output<typeof compactedSchema>;

const backedUpSchema = z.object({
  directory: z.string(),
  store_id: z.string(),
  epoch: countSchema,
  /** The last batch in it. */
  sequence: countSchema,
  made_at_ms: atMsSchema,
  file_count: countSchema,
  bytes: countSchema,
});
export type BackedUp = z.output<typeof backedUpSchema>;

const absolutePathSchema = textSchema(4096).regex(
  /^(\/|[A-Za-z]:[\\/]|\\\\)/,
  "must be an absolute path on the broker's machine",
);

export const storeMethods = {
  'store.status': row({
    summary: 'What the store holds, how far it is written, synced and taken into the book, and who holds it.',
    roles: ['operator'],
    durable: false,
    faults: [],
    params: noParamsSchema,
    reply: storeStatusSchema,
  }),
  'store.backup': row({
    summary:
      'Copies the store into a directory, which must be missing or empty; answered when the copy is whole. One at a time. It ends, and leaves nothing, when the caller cancels or goes; a timeout of the request does not end it.',
    roles: ['operator'],
    durable: false,
    faults: ['store_busy', 'target_exists', 'backup_failed', 'unsupported_operation', 'cancelled'],
    params: z.strictObject({ directory: absolutePathSchema }),
    reply: backedUpSchema,
  }),
  'store.compact': row({
    summary:
      'Writes all that lives in older segments of the journal again and removes them, then gives free pages of the book back. It ends where it is when the caller cancels or goes.',
    roles: ['operator'],
    durable: false,
    faults: ['store_busy', 'store_full', 'unsupported_operation', 'cancelled'],
    params: noParamsSchema,
    reply: compactedSchema,
  }),
} as const;
