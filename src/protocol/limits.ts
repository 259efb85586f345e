/**
 * Every limit of deye, in one place, each with its unit in the name of the row.
 * A row is the default; `deye.yaml` (section `limits`) or DEYE_LIMITS_* may override the ones marked configurable.
 */
export interface LimitRow {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'levels' | 'chars';
  readonly configurable: boolean;
  readonly summary: string;
}

const row = (value: number, unit: LimitRow['unit'], summary: string, configurable = true): LimitRow => ({
  value,
  unit,
  summary,
  configurable,
});

export const limitTable = {
  frameBytesMax: row(16 * 1024 * 1024, 'bytes', 'largest frame, its length prefix not counted'),
  helloBytesMax: row(4096, 'bytes', 'largest frame before a valid hello', false),
  payloadBytesMax: row(10 * 1024 * 1024, 'bytes', 'largest payload or result of a task, encoded'),
  decodeDepthMax: row(64, 'levels', 'deepest nesting of a decoded value', false),
  topicBytesMax: row(255, 'bytes', 'longest topic or pattern', false),
  topicSegmentsMax: row(8, 'count', 'most segments in a topic or pattern', false),
  subscriptionsMax: row(1000, 'count', 'most patterns one session may hold'),
  connectionsMax: row(1000, 'count', 'most connections at once (at most 10,000)'),
  handshakeMs: row(2000, 'ms', 'time a new connection has to say hello'),
  pingMs: row(15_000, 'ms', 'silence after which a session is pinged'),
  idleMs: row(30_000, 'ms', 'silence after which a session is dropped'),
  outboundBytesMax: row(8 * 1024 * 1024, 'bytes', 'unsent bytes one session may cause before it counts as slow'),
  slowGraceMs: row(
    10_000,
    'ms',
    'how long a slow subscriber may hold up a processed publish before it is disconnected',
  ),
  callMsDefault: row(30_000, 'ms', 'deadline of a call that names none', false),
  callMsMax: row(300_000, 'ms', 'longest deadline of a call', false),
  callsMax: row(10_000, 'count', 'most calls in flight at once'),
  pendingMax: row(100_000, 'count', 'most waiting tasks; beyond it a submit is refused with queue_full'),
  batchMax: row(1000, 'count', 'most tasks in one batch submit', false),
  leaseMs: row(30_000, 'ms', 'lease of an attempt; renewed by every heartbeat'),
  heartbeatMs: row(15_000, 'ms', 'interval of heartbeats; two missed ones return the tasks'),
  taskTimeoutMs: row(30_000, 'ms', 'default time limit of one attempt'),
  cancelGraceMs: row(5000, 'ms', 'time a collector has after a cancel before the attempt is failed'),
  adoptGraceMs: row(5000, 'ms', 'time a collector has after a broker restart to come back for its tasks'),
  retriesMax: row(3, 'count', 'default number of retries of a task'),
  backoffBaseMs: row(5000, 'ms', 'default base of the retry backoff'),
  backoffCapMs: row(3_600_000, 'ms', 'default cap of the retry backoff'),
  collectorTasksMax: row(100, 'count', 'most tasks one collector may hold, whatever it asks for'),
  retentionMs: row(7 * 24 * 3_600_000, 'ms', 'how long finished tasks are kept'),
  stopGraceMs: row(30_000, 'ms', 'how long a graceful stop lets attempts in progress finish'),
} as const satisfies Record<string, LimitRow>;

export type LimitName = keyof typeof limitTable;
export type Limits = { readonly [name in LimitName]: number };

export const defaultLimits: Limits = Object.fromEntries(
  Object.entries(limitTable).map(([name, { value }]) => [name, value]),
) as Limits;
