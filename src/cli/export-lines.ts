/**
 * An export: JSON, one value a line. The first line says what it is, then a line for each setting and each task, and the
 * last one counts them and has the CRC-32 of all bytes before it, so that a file that was cut off is noticed.
 */
import { z } from 'zod';
import { decodeValue, encodeValue } from '../protocol/msgpack.ts';
import {
  atMsSchema,
  countSchema,
  spanMsSchema,
  stateSchema,
  taskDetailSchema,
  taskIdSchema,
  taskSubmitSchema,
} from '../protocol/schema.ts';
import type { WholeTask } from '../store/new-store.ts';
import { jsonOf } from '../text/json.ts';
import { parseExactly } from './json-text.ts';

export const exportVersion = 1;

const bodySchema = z.union([z.strictObject({ json: z.unknown() }), z.strictObject({ msgpack: z.base64() })]);
const { operation, requires, labels, collector_type, metadata, correlation } = taskSubmitSchema.shape;
const errorSchema = z.strictObject({ code: z.string(), message: z.string() });

/** What a store can still count on from: a little of what an epoch, a `seq` and the time of a UUIDv7 can say. */
const [epochMax, nextSeqMax, expiredBeforeMsMax] = [2 ** 31, 2 ** 52, 2 ** 47];

export const headerSchema = z.looseObject({
  deye_export: z.number().int().min(1),
  version: z.string(),
  store_id: z.string(),
  epoch: countSchema.max(epochMax),
  made_at_ms: atMsSchema,
  next_seq: countSchema.min(1).max(nextSeqMax),
  expired_before_ms: atMsSchema.max(expiredBeforeMsMax),
});
const specSchema = z.strictObject({
  namespace: z.string(),
  id: taskIdSchema,
  operation,
  priority: z.number().int().min(0).max(255),
  requires,
  labels,
  collector_type,
  collector_id: z.string().optional(),
  timeout_ms: spanMsSchema,
  max_retries: countSchema,
  backoff_base_ms: spanMsSchema,
  backoff_cap_ms: spanMsSchema,
  metadata,
  correlation: correlation.unwrap(),
  payload: bodySchema.optional(),
});
const taskSchema = z.strictObject({
  seq: countSchema.min(1),
  submitted_at_ms: atMsSchema,
  spec: specSchema,
  state: stateSchema,
  attempt: countSchema,
  token: z.string(),
  at_ms: atMsSchema,
  collector_id: z.string().optional(),
  ready_at_ms: atMsSchema.optional(),
  delay_ms: countSchema.optional(),
  error: errorSchema.optional(),
  excluded: z.array(z.string()),
  result: bodySchema.optional(),
  attempts: taskDetailSchema.shape.attempts,
});
const endSchema = z.strictObject({ settings: countSchema, tasks: countSchema, crc: countSchema });
export const lineSchema = z.union([
  z.strictObject({ setting: z.strictObject({ key: z.string(), value: z.string() }) }),
  z.strictObject({ task: taskSchema }),
  z.strictObject({ end: endSchema }),
]);

/** What is wrong with a line, and where: of a line that says which kind it is, with the field of that kind. */
export function wrongIn({ issues: [issue] }: z.ZodError): string {
  if (issue === undefined || issue.code !== 'invalid_union' || issue.path.length > 0) return located(issue);
  const isMeant = (issues: readonly z.core.$ZodIssue[]): boolean =>
    !issues.some(({ code, path }) => code === 'unrecognized_keys' && path.length === 0);
  const meant = issue.errors.find(isMeant);
  return meant === undefined ? 'it must have one of: setting, task, end' : located(meant[0]);
}

const located = (issue: z.core.$ZodIssue | undefined): string =>
  [issue?.path.join('.'), issue?.message].filter((part) => part !== undefined && part !== '').join(': ');

type ExportedTask = z.output<typeof taskSchema>;
type Body = z.output<typeof bodySchema>;

export type Header = z.output<typeof headerSchema>;
export type ExportEnd = z.output<typeof endSchema>;

export const lineOf = (value: unknown): string => `${jsonOf(value)}\n`;

export function exportedTask({ task, result, attempts }: WholeTask): { readonly task: ExportedTask } {
  const { spec } = task;
  return {
    task: {
      seq: task.seq,
      submitted_at_ms: task.submittedAtMs,
      spec: {
        ...{ namespace: spec.namespace, id: spec.id, operation: spec.operation, priority: spec.priority },
        ...{ requires: [...spec.requires], labels: spec.labels },
        ...{ collector_type: spec.collectorType, collector_id: spec.collectorId, timeout_ms: spec.timeoutMs },
        ...{ max_retries: spec.maxRetries, backoff_base_ms: spec.backoffBaseMs, backoff_cap_ms: spec.backoffCapMs },
        ...{ metadata: spec.metadata, correlation: spec.correlation, payload: bodyOf(spec.payload as Uint8Array) }, // read from files: it is there
      },
      ...{ state: task.state, attempt: task.attempt, token: task.token, at_ms: task.atMs },
      ...{ collector_id: task.collectorId, ready_at_ms: task.readyAtMs, delay_ms: task.delayMs, error: task.error },
      ...{ excluded: [...task.excluded], result: result && bodyOf(result) },
      attempts: attempts.map(({ attempt, collectorId, startedAtMs, endedAtMs, outcome, error }) => ({
        ...{ attempt, collector_id: collectorId, started_at_ms: startedAtMs, ended_at_ms: endedAtMs, outcome, error },
      })),
    },
  };
}

export function importedTask({ spec, attempts, result, ...task }: ExportedTask): WholeTask {
  const stored: WholeTask['task'] = {
    seq: task.seq,
    submittedAtMs: task.submitted_at_ms,
    spec: {
      ...{ namespace: spec.namespace, id: spec.id, operation: spec.operation, priority: spec.priority },
      ...{ requires: spec.requires, labels: spec.labels, metadata: spec.metadata, correlation: spec.correlation },
      ...{ collectorType: spec.collector_type, collectorId: spec.collector_id, timeoutMs: spec.timeout_ms },
      ...{ maxRetries: spec.max_retries, backoffBaseMs: spec.backoff_base_ms, backoffCapMs: spec.backoff_cap_ms },
      payload: spec.payload === undefined ? new Uint8Array(0) : bytesOf(spec.payload),
    },
    ...{ state: task.state, attempt: task.attempt, token: task.token, atMs: task.at_ms, excluded: task.excluded },
    ...{ collectorId: task.collector_id, readyAtMs: task.ready_at_ms, delayMs: task.delay_ms, error: task.error },
  };
  const records = attempts.map(
    ({
      attempt,
      collector_id: collectorId,
      started_at_ms: startedAtMs,
      ended_at_ms: endedAtMs,
      outcome,
      error,
    }): WholeTask['attempts'][number] => ({
      ...{ attempt, collectorId, startedAtMs, endedAtMs, outcome, error },
    }),
  );
  return { task: stored, result: result && bytesOf(result), attempts: records };
}

const refuse = (why: string): never => {
  throw new RangeError(why);
};

/** A line's value, its integers exact. Throws a SyntaxError or a RangeError. */
export const parseLine = (text: string): unknown => parseExactly(text, refuse);

/** As JSON where that gives the same bytes again, else as the bytes. */
function bodyOf(bytes: Uint8Array): Body | undefined {
  if (bytes.length === 0) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    const json = decodeValue(buffer);
    if (encodeValue(parseLine(jsonOf(json))).equals(buffer)) return { json };
  } catch {} // it has no JSON
  return { msgpack: buffer.toString('base64') };
}

const bytesOf = (body: Body): Uint8Array =>
  'msgpack' in body ? new Uint8Array(Buffer.from(body.msgpack, 'base64')) : new Uint8Array(encodeValue(body.json));
