/**
 * Records as bytes: the kind and its version (a byte each), the length of what follows (four bytes, big-endian), and the
 * fields in the order in which they stand here. A kind keeps its number for ever; what it holds changes with its version,
 * and every version that was ever written stays readable. An unknown kind or version is never skipped: it may change
 * what all others mean. A body is the last that a record holds, so that where the record ends says where the body is.
 */
import { type Body, present } from './body.ts';
import { Reader, type Writer } from './bytes.ts';
import {
  body,
  type Codec,
  type Form,
  list,
  number,
  oneOf,
  optional,
  repeatedText,
  sparse,
  struct,
  text,
  textMap,
} from './codec.ts';
import type { AttemptRecord, JournalRecord, RecordOf, TaskProgress } from './record.ts';
import type { TaskError, TaskSpec } from './task.ts';

const error = struct<TaskError>({ code: text, message: text });

const payload: Codec<Body> = { ...body, write: (to, value) => body.write(to, present(value)) };

const spec = struct<TaskSpec>({
  namespace: repeatedText(),
  id: text,
  operation: repeatedText(),
  priority: number,
  requires: list(text),
  labels: textMap,
  collectorType: optional(text),
  collectorId: optional(text),
  timeoutMs: number,
  maxRetries: number,
  backoffBaseMs: number,
  backoffCapMs: number,
  metadata: textMap,
  correlation: sparse<TaskSpec['correlation']>({
    correlation_id: text,
    parent_id: text,
    root_id: text,
    sequence: number,
    stage: text,
    tags: textMap,
  }),
  payload,
});

const progress = {
  state: oneOf(['pending', 'in_progress', 'retrying', 'completed', 'dead_letter', 'cancelled']),
  attempt: number,
  token: text,
  atMs: number,
  collectorId: optional(text),
  readyAtMs: optional(number),
  delayMs: optional(number),
  error: optional(error),
  excluded: list(text),
} satisfies { [K in keyof TaskProgress]: Codec<TaskProgress[K]> };

const attempt = {
  attempt: number,
  collectorId: text,
  startedAtMs: number,
  endedAtMs: number,
  outcome: oneOf([
    'completed',
    'failed',
    'gave_up',
    'timed_out',
    'lease_expired',
    'connection_lost',
    'collector_silent',
    'not_reclaimed',
  ]),
  error: optional(error),
} satisfies { [K in keyof AttemptRecord]: Codec<AttemptRecord[K]> };

type Kind = JournalRecord['kind'];
type Fields<K extends Kind> = Omit<RecordOf<K>, 'kind'>;

/** The number of each kind, and its versions, the current one last. */
const kinds: { readonly [K in Kind]: { readonly number: number; readonly versions: readonly Codec<Fields<K>>[] } } = {
  submitted: { number: 1, versions: [struct<Fields<'submitted'>>({ seq: number, submittedAtMs: number, spec })] },
  moved: { number: 2, versions: [struct<Fields<'moved'>>({ seq: number, ...progress, result: optional(body) })] },
  attempt: { number: 3, versions: [struct<Fields<'attempt'>>({ seq: number, ...attempt })] },
  task: {
    number: 5,
    versions: [struct<Fields<'task'>>({ seq: number, submittedAtMs: number, ...progress, spec })],
  },
  purged: { number: 6, versions: [struct<Fields<'purged'>>({ seqs: list(number) })] },
  trimmed: { number: 10, versions: [struct<Fields<'trimmed'>>({ seqs: list(number) })] },
  expired: { number: 9, versions: [struct<Fields<'expired'>>({ beforeMs: number })] },
  level: { number: 8, versions: [struct<Fields<'level'>>({ level: number })] },
  counted: { number: 7, versions: [struct<Fields<'counted'>>({ nextSeq: number })] },
  setting: { number: 4, versions: [struct<Fields<'setting'>>({ namespace: text, key: text, value: optional(text) })] },
};

const kindOfNumber = new Map(Object.entries(kinds).map(([kind, { number: key }]) => [key, kind as Kind]));

/** Every kind in every version that was ever written, by its number. */
export const recordForms: readonly {
  readonly kind: string;
  readonly number: number;
  readonly version: number;
  readonly fields: NonNullable<Form['fields']>;
}[] = Object.entries(kinds)
  .flatMap(([kind, { number: key, versions }]) =>
    versions.map(({ form }, at) => ({ kind, number: key, version: at + 1, fields: form.fields ?? [] })),
  )
  .sort((a, b) => a.number - b.number || a.version - b.version);

/** Raised when a kind or a version is added: a store that has a higher one was written by a newer deye. */
export const storeLevel = 1;

/** Written by a newer deye, or not by deye. */
export class UnknownRecordError extends Error {
  override readonly name = 'UnknownRecordError';
}

export function writeRecord(to: Writer, record: JournalRecord): void {
  const { number: key, versions } = kinds[record.kind];
  to.byte(key);
  to.byte(versions.length);
  const at = to.beginLength();
  (versions.at(-1) as Codec<unknown>).write(to, record);
  to.endLength(at);
}

/** The record that begins here. Throws an UnknownRecordError, or a RangeError when the bytes are no record. */
export function readRecord(from: Reader): JournalRecord {
  const [key, version] = [from.byte(), from.byte()];
  const kind = kindOfNumber.get(key);
  const codec = kind === undefined ? undefined : kinds[kind].versions[version - 1];
  if (codec === undefined) throw new UnknownRecordError(`record kind ${key}, version ${version}`);
  const end = from.length32() + from.at;
  const fields = (codec as Codec<object>).read(from);
  if (from.at !== end) throw new RangeError(`a ${kind} has ${from.at - end} bytes more than it says`);
  return { kind, ...fields } as JournalRecord;
}

/** The bytes of each record, without a look at what they mean. Throws a RangeError when they do not end with one. */
export function* recordsIn(bytes: Uint8Array): Generator<{ readonly at: number; readonly bytes: Uint8Array }> {
  for (let at = 0; at < bytes.length; ) {
    const reader = new Reader(bytes, at + 2);
    const length = reader.length32();
    if (length > reader.left) throw new RangeError('the bytes end too early');
    const end = reader.at + length;
    yield { at, bytes: bytes.subarray(at, end) };
    at = end;
  }
}
