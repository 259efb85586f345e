/** A task from flags. */
import { Flags, type Interfaces } from '@oclif/core';
import type { TaskSubmit } from '../protocol/schema.ts';
import { durationHelp, readDuration, readJson, readPairs } from './input.ts';

export const taskFlags = {
  payload: Flags.string({ char: 'p', description: 'JSON, - for standard input, or @file' }),
  priority: Flags.string({ description: 'critical, high, normal, low, or 0 to 255', default: 'normal' }),
  timeout: Flags.string({ description: durationHelp('time limit of one attempt') }),
  retries: Flags.integer({ description: 'how often a failed attempt is repeated', min: 0 }),
  id: Flags.string({ description: 'a UUIDv7 of your own; the same id again adds nothing' }),
  requires: Flags.string({
    description: 'a capability the collector must have',
    multiple: true,
    multipleNonGreedy: true,
  }),
  label: Flags.string({
    char: 'l',
    description: 'a label the collector must have, key=value',
    multiple: true,
    multipleNonGreedy: true,
  }),
  collector: Flags.string({ description: 'this collector and no other' }),
  type: Flags.string({ description: 'collectors of this type only' }),
  meta: Flags.string({
    description: 'metadata for the collector, key=value',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

type Given = Interfaces.InferredFlags<typeof taskFlags>;

/** Throws a UsageError when a value cannot be read; what it means is the broker's to check. */
export async function taskFrom(operation: string, flags: Given): Promise<TaskSubmit> {
  return {
    operation,
    priority: (/^\d+$/.test(flags.priority) ? Number(flags.priority) : flags.priority) as NonNullable<
      TaskSubmit['priority']
    >,
    labels: readPairs(flags.label, 'label'),
    metadata: readPairs(flags.meta, 'metadata'),
    requires: flags.requires ?? [],
    ...(flags.payload === undefined ? {} : { payload: await readJson(flags.payload, 'payload') }),
    ...(flags.timeout === undefined ? {} : { timeout_ms: readDuration(flags.timeout) }),
    ...(flags.retries === undefined ? {} : { max_retries: flags.retries }),
    ...(flags.id === undefined ? {} : { id: flags.id }),
    ...(flags.collector === undefined ? {} : { collector_id: flags.collector }),
    ...(flags.type === undefined ? {} : { collector_type: flags.type }),
  };
}
