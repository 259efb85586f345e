/** Records for tests of stores. */

import type { Expiry } from '../../src/book/port.ts';
import type { Expired } from '../../src/core/expire.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import { defaultNamespace, type TaskSpec } from '../../src/core/task.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { LoadOptions, Store } from '../../src/store/port.ts';

/** A start at this instant, under the default limits. */
export const loadAt = (wallMs: number, { idsAheadMax } = defaultLimits): LoadOptions => ({ wallMs, idsAheadMax });

/** Nothing is kept no longer, but for what is changed. */
export const expiryOf = (changes: Partial<Expiry>): Expiry => ({
  beforeMs: 0,
  deadLettersBeforeMs: 0,
  tasksMax: 1e9,
  bytesMax: 1e15,
  wallMs: 1_800_000_000_000,
  limit: 10_000,
  ...changes,
});

/** The records that delete it. */
export const deletionOf = ({ tasks, bodies, beforeMs }: Expired): StoreRecord[] => [
  ...(beforeMs > 0 ? [{ kind: 'expired', beforeMs } as const] : []),
  ...(tasks.length > 0 ? [{ kind: 'purged', seqs: tasks } as const] : []),
  ...(bodies.length > 0 ? [{ kind: 'trimmed', seqs: bodies } as const] : []),
];

/** Deletes what is kept no longer, slice after slice; answers all of it. */
export async function purge(store: Store, changes: Partial<Expiry>): Promise<Expired> {
  const all = { tasks: [] as number[], bodies: [] as number[], beforeMs: 0 };
  for (;;) {
    const expired = await store.expired(expiryOf(changes));
    if (expired.tasks.length + expired.bodies.length === 0) return all;
    await store.commit(deletionOf(expired));
    all.tasks.push(...expired.tasks);
    all.bodies.push(...expired.bodies);
    all.beforeMs = Math.max(all.beforeMs, expired.beforeMs);
  }
}

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
  room: { bytes: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY, full: false },
  makeRoom: async (): Promise<void> => {},
};
