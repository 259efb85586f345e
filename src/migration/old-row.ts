/** Rows of deye.db as tasks. Every row carries a checksum over all of its other columns. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { AttemptRecord, StoredTask } from '../core/record.ts';
import type { TaskError, TaskSpec } from '../core/task.ts';
import { decodeValue } from '../protocol/msgpack.ts';
import type { TaskState } from '../protocol/state.ts';

type Row = Record<string, SQLOutputValue>;

/** What the checksum of a row is made from, in this order: every column but the checksum itself. */
export const columns = {
  task: [
    ...['seq', 'namespace', 'id', 'operation', 'priority', 'spec', 'submitted_ms', 'state', 'attempt', 'token'],
    ...['at_ms', 'collector', 'ready_ms', 'delay_ms', 'error', 'excluded'],
  ],
  payload: ['seq', 'body'],
  result: ['seq', 'body'],
  attempt: ['seq', 'attempt', 'collector', 'started_ms', 'ended_ms', 'outcome', 'error'],
  setting: ['namespace', 'key', 'value'],
  counter: ['name', 'value'],
} as const satisfies Record<string, readonly string[]>;

export type Table = keyof typeof columns;

/** A CRC-32 over the values with their types and lengths; bytes come last and are not copied. */
export function rowChecksum(...values: readonly SQLInputValue[]): number {
  let crc = crc32(JSON.stringify(values.map((value) => (ArrayBuffer.isView(value) ? [value.byteLength] : value))));
  for (const value of values) if (ArrayBuffer.isView(value)) crc = crc32(value as Uint8Array, crc);
  return crc;
}

/** Makes `row_crc(…)` known to SQL, where a statement changes a row that it does not read. */
export function defineRowChecksum(db: DatabaseSync): void {
  db.function('row_crc', { varargs: true, deterministic: true }, rowChecksum);
}

/** Whether the row is what was written. */
export const isSound = (table: Table, row: Row): boolean =>
  rowChecksum(...columns[table].map((column) => row[column] as SQLInputValue)) === row.crc;

/** Of a row that is sound. */
export function taskOf(row: Row, payload: Uint8Array): StoredTask {
  const text = (column: string) => (row[column] as string | null) ?? undefined;
  // Times had fractions once.
  const number = (column: string) => (row[column] === null ? undefined : Math.round(row[column] as number));
  const rest = decodeBytes(row.spec as Uint8Array) as Omit<
    TaskSpec,
    'payload' | 'id' | 'operation' | 'priority' | 'namespace'
  >;
  return {
    seq: number('seq')!,
    spec: {
      ...rest,
      collectorType: rest.collectorType ?? undefined,
      collectorId: rest.collectorId ?? undefined,
      namespace: text('namespace')!,
      id: text('id')!,
      operation: text('operation')!,
      priority: number('priority')!,
      payload,
    },
    submittedAtMs: number('submitted_ms')!,
    state: row.state as TaskState,
    attempt: number('attempt')!,
    token: text('token')!,
    atMs: number('at_ms')!,
    collectorId: text('collector'),
    readyAtMs: number('ready_ms'),
    delayMs: number('delay_ms'),
    error: readError(row.error as Uint8Array | null),
    excluded: row.excluded === null ? [] : (JSON.parse(row.excluded as string) as string[]),
  };
}

export const attemptOf = (row: Row): AttemptRecord => ({
  attempt: row.attempt as number,
  collectorId: row.collector as string,
  startedAtMs: Math.round(row.started_ms as number),
  endedAtMs: Math.round(row.ended_ms as number),
  outcome: row.outcome as AttemptRecord['outcome'],
  error: readError(row.error as Uint8Array | null),
});

const readError = (bytes: Uint8Array | null): TaskError | undefined =>
  bytes === null ? undefined : (decodeBytes(bytes) as TaskError);

const decodeBytes = (bytes: Uint8Array): unknown =>
  decodeValue(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
