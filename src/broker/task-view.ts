/** Tasks between the wire's shapes and the core's: parsing what is submitted, showing what is stored. */
import type { StoredTask } from '../core/record.ts';
import { defaultNamespace, type TaskSpec } from '../core/task.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import { nilBytes } from '../protocol/msgpack.ts';
import {
  type Attempt,
  priorityNames,
  type TaskDetail,
  type TaskSubmitParsed,
  type TaskSummary,
} from '../protocol/schema.ts';
import { uuidv7 } from '../protocol/uuid.ts';
import type { StoredDetail } from '../store/port.ts';

/** `payload` is a view into a received chunk; the spec keeps a copy of its own. A task without an id gets one of `idMs`. */
export function specOf(
  params: TaskSubmitParsed,
  payload: Uint8Array | undefined,
  limits: Limits,
  idMs: number,
): TaskSpec | Fault {
  if (payload !== undefined && payload.length > limits.payloadBytesMax)
    return fault(
      'payload_too_large',
      `The payload is ${payload.length} bytes; the limit is ${limits.payloadBytesMax}.`,
      { limit: limits.payloadBytesMax },
    );
  const id = params.id ?? uuidv7(idMs);
  const { correlation, priority, backoff } = params;
  return {
    namespace: defaultNamespace,
    id,
    operation: params.operation,
    priority: typeof priority === 'number' ? priority : priorityNames[priority],
    requires: params.requires,
    labels: params.labels,
    collectorType: params.collector_type,
    collectorId: params.collector_id,
    timeoutMs: params.timeout_ms ?? limits.taskTimeoutMs,
    maxRetries: params.max_retries ?? limits.retriesMax,
    backoffBaseMs: backoff.base_ms ?? limits.backoffBaseMs,
    backoffCapMs: backoff.cap_ms ?? limits.backoffCapMs,
    metadata: params.metadata,
    correlation:
      correlation === undefined
        ? { correlation_id: id, root_id: id }
        : { ...correlation, root_id: correlation.root_id ?? correlation.correlation_id },
    payload: payload === undefined ? nilBytes : Uint8Array.prototype.slice.call(payload),
  };
}

export function summaryOf(stored: StoredTask): TaskSummary {
  const { spec, collectorId, readyAtMs, error } = stored;
  return {
    id: spec.id,
    operation: spec.operation,
    state: stored.state,
    priority: spec.priority,
    attempt: stored.attempt,
    max_retries: spec.maxRetries,
    ...(collectorId === undefined ? {} : { collector_id: collectorId }),
    submitted_at_ms: stored.submittedAtMs,
    updated_at_ms: stored.atMs,
    ...(readyAtMs === undefined ? {} : { ready_at_ms: readyAtMs }),
    ...(error === undefined ? {} : { error }),
  };
}

export function detailOf(stored: StoredDetail): Omit<TaskDetail, 'payload' | 'result'> {
  const { spec, result } = stored;
  const attempts = stored.attempts.map(
    ({ attempt, collectorId, startedAtMs, endedAtMs, outcome, error }): Attempt => ({
      attempt,
      collector_id: collectorId,
      started_at_ms: startedAtMs,
      ended_at_ms: endedAtMs,
      outcome,
      ...(error === undefined ? {} : { error }),
    }),
  );
  return {
    ...summaryOf(stored),
    requires: [...spec.requires],
    labels: { ...spec.labels },
    ...(spec.collectorType === undefined ? {} : { collector_type: spec.collectorType }),
    timeout_ms: spec.timeoutMs,
    metadata: { ...spec.metadata },
    correlation: spec.correlation,
    attempts,
    payload_bytes: spec.payload.length,
    ...(result === undefined ? {} : { result_bytes: result.length }),
    // Every payload has a byte at least.
    ...(spec.payload.length > 0 ? {} : { trimmed: true }),
  };
}
