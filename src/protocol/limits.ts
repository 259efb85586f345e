/**
 * Every limit of deye, in one place. A row holds the default and its unit; the section `limits` of deye.yaml (by its
 * name in snake_case, `pending_max`) or DEYE_LIMITS_PENDING_MAX override the configurable ones.
 */
export interface LimitRow {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'levels';
  readonly configurable: boolean;
  readonly summary: string;
  /** The largest value that may be configured. */
  readonly most: number;
}

const row = (
  value: number,
  unit: LimitRow['unit'],
  summary: string,
  { configurable = true, most = Number.MAX_SAFE_INTEGER }: { configurable?: boolean; most?: number } = {},
): LimitRow => ({ value, unit, summary, configurable, most });

const fixed = { configurable: false };
const kib = 1024;
const mib = 1024 * kib;
const day = 24 * 3_600_000;

export const limitTable = {
  // frames and values
  frameBytesMax: row(16 * mib, 'bytes', 'largest frame, its length prefix not counted'),
  helloBytesMax: row(4096, 'bytes', 'largest frame before a valid hello', fixed),
  payloadBytesMax: row(10 * mib, 'bytes', 'largest payload or result of a task, encoded'),
  exportLineBytesMax: row(256 * mib, 'bytes', 'longest line of an export that is read back', fixed),
  registrationBytesMax: row(64 * kib, 'bytes', 'largest registration of a collector, encoded, its leases not counted'),
  paramsEntriesMax: row(
    32_768,
    'count',
    'most entries of maps and lists in the params of a request to the broker, payloads and results not counted',
    fixed,
  ),
  decodeDepthMax: row(64, 'levels', 'deepest nesting of a decoded value', fixed),
  topicBytesMax: row(255, 'bytes', 'longest topic or pattern', fixed),
  topicSegmentsMax: row(8, 'count', 'most segments in a topic or pattern', fixed),

  // sessions
  connectionsMax: row(1000, 'count', 'most connections at once', { most: 10_000 }),
  busyHeldMax: row(
    24,
    'count',
    'most connections that were refused with busy and are held until their hello has come; beyond it the oldest is closed',
    fixed,
  ),
  handshakeMs: row(2000, 'ms', 'time a new connection has to send its hello'),
  pingMs: row(15_000, 'ms', 'silence after which a session is pinged'),
  idleMs: row(30_000, 'ms', 'silence after which a session is dropped'),
  outboundBytesMax: row(
    8 * mib,
    'bytes',
    'bytes kept for a session that it has not read; beyond them it is not served and loses realtime messages',
  ),
  inboundBytesMax: row(
    8 * mib,
    'bytes',
    'bytes of requests of one session that are not answered yet; beyond them it is not read',
  ),
  slowGraceMs: row(10_000, 'ms', 'how long a session may stay over its outbound limit before it is disconnected'),
  stallMs: row(10, 'ms', 'longest pause of a realtime publisher for a full subscriber that is reading'),
  stallRecentMs: row(100, 'ms', 'a subscriber is reading when it took bytes within this time', fixed),
  refusalsMax: row(100, 'count', 'refused realtime publishes of one session that are answered with a refusal', fixed),

  // subscriptions and calls
  subscriptionsMax: row(1000, 'count', 'most patterns one session may hold, and as many excluded ones'),
  subscriptionsTotalMax: row(100_000, 'count', 'most patterns of all sessions'),
  routesMax: row(10_000, 'count', 'topics whose subscribers are remembered'),
  callMsDefault: row(30_000, 'ms', 'timeout of a request that names none', fixed),
  callMsMax: row(300_000, 'ms', 'longest timeout of a call', fixed),
  callsMax: row(10_000, 'count', 'most calls in flight at once'),
  callsPerSessionMax: row(1000, 'count', 'most calls in flight that one session makes'),

  // waiting tasks
  pendingMax: row(100_000, 'count', 'most waiting tasks; beyond it a submit is refused with queue_full'),
  pendingBytesMax: row(8192 * mib, 'bytes', 'most bytes of waiting payloads; beyond it a submit is refused'),
  memoryPayloadBytesMax: row(
    256 * mib,
    'bytes',
    'payloads of tasks that are kept in memory; others are read back from the journal before they are handed out',
  ),
  operationsMax: row(10_000, 'count', 'most operations with tasks, settings or history; idle ones are dropped first'),
  classesMax: row(1000, 'count', 'empty task classes that are kept for the next task of their kind'),
  batchMax: row(1000, 'count', 'most tasks in one batch submit', fixed),
  waitsMax: row(1000, 'count', 'most waits and task reads that one session may have open'),
  waitsTotalMax: row(100_000, 'count', 'most open waits of all sessions'),
  waitMsMax: row(3_600_000, 'ms', 'longest timeout of a wait; a client that wants longer waits again'),
  endedIdsMax: row(20_000, 'count', 'ended tasks whose ids are kept in memory; older ones are looked up'),
  idsAheadMax: row(
    10_000,
    'count',
    'ids of ended tasks from ahead of the clock that are kept one by one; beyond them every submit is looked up',
    { most: 1_000_000 },
  ),
  snapshotRowsMax: row(200, 'count', 'operations listed in a snapshot, the busiest first'),

  // attempts
  leaseMs: row(30_000, 'ms', 'lease of an attempt; renewed by every heartbeat'),
  heartbeatMs: row(15_000, 'ms', 'interval of heartbeats; two missed ones return the tasks'),
  taskTimeoutMs: row(30_000, 'ms', 'default time limit of one attempt'),
  cancelGraceMs: row(5000, 'ms', 'time a collector has after a cancel before the attempt is failed'),
  reclaimGraceMs: row(5000, 'ms', 'time a collector has after a broker restart to come back for its tasks'),
  retriesMax: row(3, 'count', 'default number of retries of a task'),
  backoffBaseMs: row(5000, 'ms', 'default base of the retry backoff'),
  backoffCapMs: row(3_600_000, 'ms', 'default cap of the retry backoff'),
  leasesMax: row(10_000, 'count', 'most leases in one registration or heartbeat', fixed),
  collectorTasksMax: row(100, 'count', 'most tasks one collector may hold, whatever it registers'),

  // what is kept
  retentionMs: row(7 * day, 'ms', 'how long completed and cancelled tasks are kept'),
  deadLetterRetentionMs: row(30 * day, 'ms', 'how long dead letters are kept'),
  endedTasksMax: row(
    10_000_000,
    'count',
    'most ended tasks that are kept; beyond it the oldest are deleted, dead letters last',
  ),
  bookBytesMax: row(
    2048 * mib,
    'bytes',
    'most bytes of ended tasks; beyond it the oldest lose their payloads and results, dead letters last',
  ),
  logBytesMax: row(16 * mib, 'bytes', 'size at which the log of a background broker is rotated'),
  logFilesMax: row(5, 'count', 'log files that are kept, the current one counted'),
  outputLineBytesMax: row(65_536, 'bytes', 'longest line of a supervised collector that is logged; the rest is cut'),
  stopGraceMs: row(30_000, 'ms', 'how long a graceful stop lets attempts in progress finish'),
} as const satisfies Record<string, LimitRow>;

export type LimitName = keyof typeof limitTable;
export type Limits = { readonly [name in LimitName]: number };

export const defaultLimits: Limits = Object.fromEntries(
  Object.entries(limitTable).map(([name, { value }]) => [name, value]),
) as Limits;

/** `pendingMax` as people write it: `pending_max`. */
export const limitKey = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
