/**
 * Faults: refusals, as data. A fault is returned, never thrown, inside the broker; the client turns one into a
 * `FaultError`. One table: its rows are printed in deye-protocol(7), and a test holds the page to it.
 */
export type FaultCategory = 'configuration' | 'resource' | 'communication' | 'permission' | 'internal' | 'timeout';

export interface FaultRow {
  readonly category: FaultCategory;
  /** Whether the broker ends the session after saying it. */
  readonly closes: boolean;
  /** Whether the same request may succeed later, unchanged. */
  readonly retry: boolean;
  /** Exit code of the command line. */
  readonly exit: number;
  readonly http: number;
  readonly summary: string;
}

const row = (
  category: FaultCategory,
  closes: boolean,
  retry: boolean,
  exit: number,
  http: number,
  summary: string,
): FaultRow => ({
  category,
  closes,
  retry,
  exit,
  http,
  summary,
});

export const faultTable = {
  malformed_frame: row('communication', true, false, 1, 400, 'The bytes are not a frame of this protocol.'),
  frame_too_large: row('resource', true, false, 1, 413, 'A frame is longer than the limit.'),
  protocol_version: row('communication', true, false, 1, 426, 'Client and broker speak different major versions.'),
  hello_expected: row('permission', true, false, 4, 401, 'The first frame of a session must be a hello.'),
  hello_timeout: row('timeout', true, true, 1, 408, 'No hello came within the handshake time.'),
  idle_timeout: row('timeout', true, true, 1, 408, 'Nothing was heard from the session, not even a pong.'),
  busy: row('resource', true, true, 75, 503, 'The broker is at its connection limit.'),
  slow_subscriber: row('resource', true, true, 1, 503, 'The session did not read what it subscribed to.'),
  shutting_down: row('communication', true, true, 75, 503, 'The broker is stopping.'),
  bad_topic: row('configuration', false, false, 2, 400, 'The topic breaks the grammar.'),
  bad_pattern: row('configuration', false, false, 2, 400, 'The pattern breaks the grammar or could never match.'),
  not_allowed: row('permission', false, false, 4, 403, 'The role of this session may not do this.'),
  unsupported_operation: row('configuration', false, false, 2, 404, 'No such method.'),
  invalid_params: row('configuration', false, false, 2, 422, 'The parameters do not fit the method.'),
  payload_too_large: row('resource', false, false, 2, 413, 'A payload or result is longer than the limit.'),
  too_many_subscriptions: row('resource', false, false, 1, 429, 'The session holds its full number of patterns.'),
  queue_full: row('resource', false, true, 75, 429, 'The limit of waiting tasks is reached.'),
  not_found: row('configuration', false, false, 5, 404, 'There is no such task, collector or target.'),
  no_capable_collector: row('resource', false, true, 75, 503, 'No collector that is here can do this.'),
  id_taken: row('configuration', false, false, 1, 409, 'Another live session holds this collector id.'),
  not_registered: row('configuration', false, false, 1, 409, 'The session has registered no collector.'),
  stale_lease: row('configuration', false, false, 1, 409, 'The attempt is over; its answer changed nothing.'),
  wrong_state: row('configuration', false, false, 1, 409, 'The state of the task or collector does not allow this.'),
  too_many_calls: row('resource', false, true, 75, 429, 'Too many calls are in flight.'),
  collector_gone: row('communication', false, true, 1, 502, 'The callee went away before it answered.'),
  cancelled: row('communication', false, false, 130, 499, 'The caller cancelled.'),
  deadline_exceeded: row('timeout', false, true, 124, 504, 'The deadline passed before an answer came.'),
  handler_failed: row('internal', false, false, 1, 500, 'The handler of the callee threw.'),
  store_unwritable: row(
    'resource',
    true,
    true,
    75,
    503,
    'A commit failed, so the broker stops; what it had acknowledged is kept.',
  ),
  store_failed: row('internal', false, true, 1, 500, 'The store could not be read.'),
} as const satisfies Record<string, FaultRow>;

export type FaultCode = keyof typeof faultTable;

/** A refusal as it travels. `context` holds plain values that a program can act on, such as `retry_after_ms`. */
export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
  readonly category: FaultCategory;
  readonly retry: boolean;
  readonly context: Readonly<Record<string, unknown>>;
}

export function fault(code: FaultCode, message: string, context: Record<string, unknown> = {}): Fault {
  const { category, retry } = faultTable[code];
  return { code, message, category, retry, context };
}

export function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && 'code' in value && 'category' in value && 'context' in value;
}

/** What a client throws when the other end refused. `code` is one of the fault table, or a collector's own word. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly code: string;
  readonly category: string;
  readonly retry: boolean;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(refusal: {
    code: string;
    message: string;
    category?: string;
    retry?: boolean;
    context?: Readonly<Record<string, unknown>>;
  }) {
    super(refusal.message);
    this.code = refusal.code;
    this.category = refusal.category ?? 'internal';
    this.retry = refusal.retry ?? false;
    this.context = refusal.context ?? {};
  }
}
