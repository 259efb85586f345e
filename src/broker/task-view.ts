/** Tasks between the wire's shapes and the core's: parsing what is submitted, showing what is stored. */
import type { StoredTask, TaskSpec } from '../core/task.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import type { Limits } from '../protocol/limits.ts';
import { nilBytes } from '../protocol/msgpack.ts';
import { priorityNames, type TaskSubmitParsed, type TaskSummary } from '../protocol/schema.ts';
import { uuidTimeMs, uuidv7 } from '../protocol/uuid.ts';

/** How far ahead of the broker's clock a caller's id may be. */
const idAheadMsMax = 60_000;

/** `payload` is a view into a received chunk; the spec keeps a copy of its own. */
export function specOf(
  params: TaskSubmitParsed,
  payload: Uint8Array | undefined,
  limits: Limits,
  nowMs: number,
): TaskSpec | Fault {
  if (payload !== undefined && payload.length > limits.payloadBytesMax)
    return fault(
      'payload_too_large',
      `The payload is ${payload.length} bytes; the limit is ${limits.payloadBytesMax}.`,
      { limit: limits.payloadBytesMax },
    );
  const id = params.id ?? uuidv7(nowMs);
  if (params.id !== undefined && uuidTimeMs(id) > nowMs + idAheadMsMax)
    return fault('invalid_params', `The id ${id} was made in the future: its first 12 digits must be the time in ms.`, {
      id,
    });
  const { correlation } = params;
  return {
    id,
    operation: params.operation,
    priority: typeof params.priority === 'number' ? params.priority : priorityNames[params.priority],
    requires: params.requires,
    labels: params.labels,
    collectorType: params.collector_type,
    collectorId: params.collector_id,
    timeoutMs: params.timeout_ms,
    maxRetries: params.max_retries,
    backoffBaseMs: params.backoff.base_ms,
    backoffCapMs: params.backoff.cap_ms,
    metadata: params.metadata,
    correlation:
      correlation === undefined
        ? { correlation_id: id, root_id: id }
        : { ...correlation, root_id: correlation.root_id ?? correlation.correlation_id },
    payload: payload === undefined ? nilBytes : Uint8Array.prototype.slice.call(payload),
  };
}

export function summaryOf(stored: StoredTask): TaskSummary {
  const { spec } = stored;
  return {
    id: spec.id,
    operation: spec.operation,
    state: stored.state,
    priority: spec.priority,
    attempt: stored.attempt,
    max_retries: spec.maxRetries,
    ...(stored.collectorId === undefined ? {} : { collector_id: stored.collectorId }),
    submitted_at_ms: Math.round(stored.submittedAtMs),
    updated_at_ms: Math.round(stored.atMs),
    ...(stored.readyAtMs === undefined ? {} : { ready_at_ms: Math.round(stored.readyAtMs) }),
    ...(stored.error === undefined ? {} : { error: stored.error }),
  };
}
