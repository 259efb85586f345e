/** Rows of the SQLite store as tasks. */
import { crc32 } from 'node:zlib';
import type { StoredTask } from '../core/record.ts';
import type { TaskError, TaskSpec } from '../core/task.ts';
import { decodeValue } from '../protocol/msgpack.ts';
import type { TaskState } from '../protocol/state.ts';

export interface TaskRow {
  readonly seq: number;
  readonly namespace: string;
  readonly id: string;
  readonly operation: string;
  readonly priority: number;
  readonly spec: Uint8Array;
  readonly crc: number;
  readonly submitted_ms: number;
  readonly state: string;
  readonly attempt: number;
  readonly token: string;
  readonly at_ms: number;
  readonly collector: string | null;
  readonly ready_ms: number | null;
  readonly delay_ms: number | null;
  readonly error: Uint8Array | null;
  readonly excluded: string | null;
  readonly payload: Uint8Array | null;
}

const noBytes = new Uint8Array(0);

/** Over id, spec and payload; checked whenever a task is read with its payload. */
export const checksum = (id: string, spec: Uint8Array, payload: Uint8Array): number =>
  crc32(payload, crc32(spec, crc32(id)));

/** Undefined when the row is not what was written. */
export function taskOf(row: TaskRow, withPayload: boolean): StoredTask | undefined {
  const payload = row.payload ?? noBytes;
  if (withPayload && (row.payload === null || checksum(row.id, row.spec, payload) !== row.crc)) return undefined;
  const rest = decodeBytes(row.spec) as Omit<TaskSpec, 'payload' | 'id' | 'operation' | 'priority' | 'namespace'>;
  return {
    seq: row.seq,
    spec: {
      ...rest,
      collectorType: rest.collectorType ?? undefined,
      collectorId: rest.collectorId ?? undefined,
      namespace: row.namespace,
      id: row.id,
      operation: row.operation,
      priority: row.priority,
      payload,
    },
    submittedAtMs: row.submitted_ms,
    state: row.state as TaskState,
    attempt: row.attempt,
    token: row.token,
    atMs: row.at_ms,
    collectorId: row.collector ?? undefined,
    readyAtMs: row.ready_ms ?? undefined,
    delayMs: row.delay_ms ?? undefined,
    error: readError(row.error),
    excluded: row.excluded === null ? [] : (JSON.parse(row.excluded) as string[]),
  };
}

export const readError = (bytes: Uint8Array | null): TaskError | undefined =>
  bytes === null ? undefined : (decodeBytes(bytes) as TaskError);

const decodeBytes = (bytes: Uint8Array): unknown =>
  decodeValue(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
