/** How many bytes a record takes at most, without writing it. */
import type { JournalRecord, TaskProgress } from './record.ts';
import type { TaskSpec } from './task.ts';

/** Kind, version, lengths, and every number and short name of a record. */
export const fixedBytes = 256;
/** Of a character of UTF-16 in UTF-8, at most; and of the length before a text. */
const characterBytes = 3;
const lengthBytes = 4;

export function bytesOf(record: JournalRecord): number {
  switch (record.kind) {
    case 'submitted':
      return fixedBytes + specBytes(record.spec);
    case 'task':
      return fixedBytes + specBytes(record.spec) + progressBytes(record);
    case 'moved':
      return fixedBytes + progressBytes(record) + (record.result?.length ?? 0);
    case 'attempt':
      return fixedBytes + textBytes(record.collectorId) + errorBytes(record.error);
    case 'setting':
      return fixedBytes + textBytes(record.key) + textBytes(record.value);
    case 'purged':
    case 'trimmed':
      return fixedBytes + 8 * record.seqs.length;
    default:
      return fixedBytes;
  }
}

/** As `bytesOf` says of the record that makes it. */
export const specBytes = (spec: TaskSpec): number =>
  spec.payload.length +
  textBytes(spec.id) +
  textBytes(spec.namespace) +
  textBytes(spec.operation) +
  textBytes(spec.collectorType) +
  textBytes(spec.collectorId) +
  listBytes(spec.requires) +
  mapBytes(spec.labels) +
  mapBytes(spec.metadata) +
  correlationBytes(spec.correlation);

const textBytes = (text: string | undefined): number =>
  text === undefined ? 1 : lengthBytes + characterBytes * text.length;

const listBytes = (texts: readonly string[]): number => {
  let bytes = lengthBytes;
  for (const text of texts) bytes += textBytes(text);
  return bytes;
};

const mapBytes = (map: Readonly<Record<string, string>>): number => {
  let bytes = lengthBytes;
  for (const key in map) bytes += textBytes(key) + textBytes(map[key]);
  return bytes;
};

const correlationBytes = (correlation: TaskSpec['correlation']): number =>
  fixedBytes +
  textBytes(correlation.correlation_id) +
  textBytes(correlation.parent_id) +
  textBytes(correlation.root_id) +
  textBytes(correlation.stage) +
  mapBytes(correlation.tags ?? {});

const errorBytes = (error: TaskProgress['error']): number =>
  error === undefined ? 1 : textBytes(error.code) + textBytes(error.message);

const progressBytes = ({ token, collectorId, error, excluded }: TaskProgress): number =>
  textBytes(token) + textBytes(collectorId) + errorBytes(error) + listBytes(excluded);
