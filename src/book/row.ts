/** Rows of the book as what they mean. Each throws `book_damaged`, with the row by name, when its checksum does not agree. */
import type { SQLOutputValue } from 'node:sqlite';
import { Reader } from '../core/bytes.ts';
import type { RecordOf } from '../core/record.ts';
import { readRecord } from '../core/record-bytes.ts';
import { damagedBook } from './error.ts';
import { checksum } from './schema.ts';

export type Row = Record<string, SQLOutputValue>;
type Keys = readonly (string | number | null)[];

/** The full record; its payload is a body of its own. */
export function taskOf(path: string, row: Row): RecordOf<'task'> {
  const { seq, namespace, id, operation, collector, state, since_ms } = row;
  const keys = [seq, namespace, id, operation, collector, state, since_ms] as Keys;
  return recordOf(path, row, 'task', `task ${id}`, keys);
}

export function attemptOf(path: string, row: Row): RecordOf<'attempt'> {
  const { seq, attempt } = row;
  const what = `attempt ${attempt} of task ${seq}`;
  const record = recordOf(path, row, 'attempt', what);
  if (record.seq !== seq || record.attempt !== attempt) throw damagedBook(path, what);
  return record;
}

export function bodyOf(path: string, { seq, kind, bytes, crc }: Row): Uint8Array {
  if (checksum(bytes as Uint8Array) !== crc) throw damagedBook(path, `the ${kind} of task ${seq}`);
  return bytes as Uint8Array;
}

function recordOf<Kind extends 'task' | 'attempt'>(
  path: string,
  { record: bytes, crc }: Row,
  kind: Kind,
  what: string,
  keys?: Keys,
): RecordOf<Kind> {
  if (checksum(bytes as Uint8Array, keys) !== crc) throw damagedBook(path, what);
  const record = readRecord(new Reader(bytes as Uint8Array));
  if (record.kind !== kind) throw damagedBook(path, what);
  return record as RecordOf<Kind>;
}
