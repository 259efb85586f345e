/** Records for tests of stores. */
import type { StoreRecord } from '../../src/core/record.ts';
import { defaultNamespace, type TaskSpec } from '../../src/core/task.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { LoadOptions } from '../../src/store/port.ts';

/** A start at this instant, under the default limits. */
export const loadAt = (wallMs: number, { idsAheadMax } = defaultLimits): LoadOptions => ({ wallMs, idsAheadMax });

export function specOf(id: string, changes: Partial<TaskSpec> = {}): TaskSpec {
  return {
    namespace: defaultNamespace,
    id,
    operation: 'scan',
    priority: 100,
    requires: ['process'],
    labels: { zone: 'a' },
    collectorType: undefined,
    collectorId: undefined,
    timeoutMs: 30_000,
    maxRetries: 3,
    backoffBaseMs: 5000,
    backoffCapMs: 3_600_000,
    metadata: { note: 'é\n"' },
    correlation: { correlation_id: id },
    payload: Uint8Array.of(0x81, 0xa1, 0x61, 0x01),
    ...changes,
  };
}

export const submitted = (seq: number, id: string, changes: Partial<TaskSpec> = {}): StoreRecord => ({
  kind: 'submitted',
  seq,
  spec: specOf(id, changes),
  submittedAtMs: 1000 + seq,
});
export const moved = (
  seq: number,
  state: Extract<StoreRecord, { kind: 'moved' }>['state'],
  changes: Partial<Extract<StoreRecord, { kind: 'moved' }>> = {},
): StoreRecord => ({
  kind: 'moved',
  seq,
  state,
  attempt: 1,
  token: '1.1',
  atMs: 2000 + seq,
  collectorId: undefined,
  readyAtMs: undefined,
  delayMs: undefined,
  error: undefined,
  excluded: [],
  result: undefined,
  ...changes,
});

/** Of a store that is never full, and never asked for a payload. */
export const endlessRoom = {
  payload: async () => undefined,
  room: { bytes: Number.POSITIVE_INFINITY, full: false },
  makeRoom: async (): Promise<void> => {},
};
