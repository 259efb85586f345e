/** How many bytes a record takes at most, without writing it. */
import type { JournalRecord, TaskProgress } from './record.ts';
import type { TaskSpec } from './task.ts';

/** Kind, version, lengths, and every number and short name of a record. */
export const fixedBytes = 256;
const lengthBytes = 4;

/** How many bytes a text takes. */
export type Measure = (text: string) => number;
/** At most: a character of UTF-16 takes three in UTF-8. Cheap, since the text is not looked at. */
const atMost: Measure = (text) => 3 * text.length;
export const exactly: Measure = (text) => Buffer.byteLength(text);

export function bytesOf(record: JournalRecord, measure = atMost): number {
  switch (record.kind) {
    case 'submitted':
      return fixedBytes + specBytes(record.spec, measure);
    case 'task':
      return fixedBytes + specBytes(record.spec, measure) + progressBytes(record, measure);
    case 'moved':
      return fixedBytes + progressBytes(record, measure) + (record.result?.length ?? 0);
    case 'attempt':
      return fixedBytes + textBytes(record.collectorId, measure) + errorBytes(record.error, measure);
    case 'setting':
      return fixedBytes + textBytes(record.key, measure) + textBytes(record.value, measure);
    case 'purged':
    case 'trimmed':
      return fixedBytes + 8 * record.seqs.length;
    default:
      return fixedBytes;
  }
}

/** As `bytesOf` says of the record that makes it. */
export const specBytes = (spec: TaskSpec, measure = atMost): number =>
  spec.payload.length +
  textBytes(spec.id, measure) +
  textBytes(spec.namespace, measure) +
  textBytes(spec.operation, measure) +
  textBytes(spec.collectorType, measure) +
  textBytes(spec.collectorId, measure) +
  listBytes(spec.requires, measure) +
  mapBytes(spec.labels, measure) +
  mapBytes(spec.metadata, measure) +
  correlationBytes(spec.correlation, measure);

const textBytes = (text: string | undefined, measure: Measure): number =>
  text === undefined ? 1 : lengthBytes + measure(text);

const listBytes = (texts: readonly string[], measure: Measure): number => {
  let bytes = lengthBytes;
  for (const text of texts) bytes += textBytes(text, measure);
  return bytes;
};

const mapBytes = (map: Readonly<Record<string, string>>, measure: Measure): number => {
  let bytes = lengthBytes;
  for (const key in map) bytes += textBytes(key, measure) + textBytes(map[key], measure);
  return bytes;
};

const correlationBytes = (correlation: TaskSpec['correlation'], measure: Measure): number =>
  fixedBytes +
  textBytes(correlation.correlation_id, measure) +
  textBytes(correlation.parent_id, measure) +
  textBytes(correlation.root_id, measure) +
  textBytes(correlation.stage, measure) +
  mapBytes(correlation.tags ?? {}, measure);

const errorBytes = (error: TaskProgress['error'], measure: Measure): number =>
  error === undefined ? 1 : textBytes(error.code, measure) + textBytes(error.message, measure);

const progressBytes = ({ token, collectorId, error, excluded }: TaskProgress, measure: Measure): number =>
  textBytes(token, measure) +
  textBytes(collectorId, measure) +
  errorBytes(error, measure) +
  listBytes(excluded, measure);
