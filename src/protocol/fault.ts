/**
 * Faults: refusals, as data. A fault is returned, never thrown, inside the broker; the client turns one into a
 * `FaultError`. One table: its rows are printed in deye-protocol(7), and a test provokes each over a socket. A message
 * says what happened and what to do about it.
 */
type FaultCategory = 'configuration' | 'resource' | 'communication' | 'permission' | 'internal' | 'timeout';

interface FaultRow {
  readonly category: FaultCategory;
  /** Whether it travels in a goodbye and ends the session, or in a reply or ack and leaves it open. */
  readonly closes: boolean;
  /** Whether the same request may succeed later, unchanged. */
  readonly retry: boolean;
  /** Exit code of the command line. */
  readonly exit: number;
  readonly summary: string;
}

const refusal = <const C extends FaultCategory>(category: C, exit: number, summary: string, retry = false) => ({
  category,
  closes: false as const,
  retry,
  exit,
  summary,
});
const ending = <const C extends FaultCategory>(category: C, exit: number, summary: string, retry = false) => ({
  category,
  closes: true as const,
  retry,
  exit,
  summary,
});

export const faultTable = {
  malformed_frame: ending('communication', 1, 'The bytes are not a frame of this protocol.'),
  frame_too_large: ending('resource', 1, 'A frame is longer than the limit.'),
  protocol_version: ending('communication', 1, 'Client and broker have different major versions of the protocol.'),
  hello_expected: ending('permission', 4, 'The first frame of a session must be a hello.'),
  hello_timeout: ending('timeout', 1, 'No hello came within the handshake time.', true),
  idle_timeout: ending('timeout', 1, 'Nothing came from the session, not even a pong.', true),
  busy: ending('resource', 75, 'The broker is at its connection limit.', true),
  slow_consumer: ending('resource', 1, 'The session did not read what was sent to it.', true),
  shutting_down: ending('communication', 75, 'The broker stopped.', true),
  store_unwritable: ending(
    'resource',
    75,
    'A commit failed, so the broker stops; what it had acknowledged is kept.',
    true,
  ),
  broker_stopping: refusal('communication', 75, 'The broker is stopping and accepts no new tasks.', true),
  bad_topic: refusal('configuration', 2, 'The topic breaks the grammar.'),
  bad_pattern: refusal('configuration', 2, 'The pattern breaks the grammar or could never match.'),
  not_allowed: refusal('permission', 4, 'This session may not do this.'),
  unsupported_operation: refusal('configuration', 2, 'No such method, or none for this store.'),
  invalid_params: refusal('configuration', 2, 'The parameters do not fit the method.'),
  payload_too_large: refusal('resource', 2, 'A payload or result is longer than the limit.'),
  reply_too_large: refusal('resource', 2, 'The answer does not fit a frame; request less at once.'),
  too_many_subscriptions: refusal('resource', 1, 'The limit of patterns is reached.'),
  too_many_waits: refusal('resource', 75, 'The limit of open waits is reached.', true),
  too_many_operations: refusal('resource', 75, 'The limit of operations with tasks is reached.', true),
  too_many_calls: refusal('resource', 75, 'Too many calls are in flight.', true),
  queue_full: refusal('resource', 75, 'The limit of waiting tasks is reached.', true),
  not_found: refusal('configuration', 5, 'There is no such task, collector or target.'),
  no_capable_collector: refusal('resource', 75, 'No collector that is here can do this.', true),
  id_expired: refusal(
    'configuration',
    1,
    'The id is not newer than that of a task that retention has deleted, so it may have run.',
  ),
  id_taken: refusal('configuration', 1, 'Another live session holds this collector id.'),
  not_registered: refusal('configuration', 1, 'The session has registered no collector.'),
  stale_lease: refusal('configuration', 1, 'The attempt is over; its answer changed nothing.'),
  wrong_state: refusal('configuration', 1, 'The state of the task or collector does not allow this.'),
  collector_gone: refusal('communication', 1, 'The callee went away before it answered.', true),
  caller_too_slow: refusal('resource', 1, 'The caller read a streamed answer too slowly; the call was ended.', true),
  malformed_body: refusal('communication', 1, 'A body is not a MessagePack value.'),
  cancelled: refusal('communication', 130, 'The caller cancelled.'),
  deadline_exceeded: refusal('timeout', 124, 'The timeout passed before an answer came.', true),
  handler_failed: refusal('internal', 1, 'The handler of the callee threw.'),
  store_full: refusal('resource', 75, 'The disk is full; what was accepted is kept, and what runs may end.', true),
  store_failed: refusal('internal', 1, 'The store could not be read.', true),
  store_busy: refusal('resource', 75, 'A backup of the store, or a compact, is under way.', true),
  backup_failed: refusal('resource', 75, 'The store could not be copied; nothing is left of the try.', true),
  target_exists: refusal('configuration', 2, 'The directory to be made is there, and not empty.'),
} satisfies Record<string, FaultRow>;

export type FaultCode = keyof typeof faultTable;
/** Codes that end a session. */
export type ClosingCode = { [C in FaultCode]: (typeof faultTable)[C]['closes'] extends true ? C : never }[FaultCode];

/** What to do, said after every message. Messages of the other faults say it themselves, or name what to mend. */
export const advice: Readonly<Partial<Record<FaultCode, string>>> = {
  hello_timeout: 'Connect again and send it first.',
  idle_timeout: 'Connect again and answer pings.',
  busy: 'Connect again later, or close some.',
  slow_consumer: 'Connect again, and read faster or subscribe to less.',
  shutting_down: 'Connect again once it runs: deye up',
  broker_stopping: 'Submit again when it is back.',
  payload_too_large: 'Put it into a file and send its path.',
  too_many_subscriptions: 'Unsubscribe some, or use wildcards.',
  too_many_waits: 'Wait again when some have ended.',
  too_many_operations: 'Put what varies into the payload.',
  too_many_calls: 'Call again when some have ended.',
  queue_full: 'Submit again when some are done.',
  no_capable_collector: 'See: deye collectors ls',
  id_expired:
    'Submit it with a new id, if running it twice does no harm; if the id is new, set the clock of its maker.',
  collector_gone: 'Call again, if doing it twice does no harm.',
  caller_too_slow: 'Call again and read its parts as they come.',
  store_full: 'Free some space; the broker notices by itself.',
  store_failed: 'Ask again; if it stays so, see: deye broker logs',
  store_busy: 'Try again when it is done.',
};

/** Any request may be refused with these. */
export const commonFaults: readonly FaultCode[] = ['invalid_params', 'not_allowed', 'reply_too_large', 'store_failed'];

/** A call to a collector may be refused by the broker with these; the callee has codes of its own. */
export const callFaults: readonly FaultCode[] = [
  'not_found',
  'not_allowed',
  'no_capable_collector',
  'too_many_calls',
  'invalid_params',
  'collector_gone',
  'caller_too_slow',
  'cancelled',
  'deadline_exceeded',
];

/** A refusal as it travels. `context` holds plain values that a program can act on, such as `retry_after_ms`. */
export interface Fault<C extends FaultCode = FaultCode> {
  readonly code: C;
  readonly message: string;
  readonly category: FaultCategory;
  readonly retry: boolean;
  readonly context: Readonly<Record<string, unknown>>;
}

export function fault<C extends FaultCode>(code: C, message: string, context: Record<string, unknown> = {}): Fault<C> {
  const { category, retry } = faultTable[code];
  return { code, message: advised(code, message), category, retry, context };
}

function advised(code: FaultCode, message: string): string {
  const what = advice[code];
  return what === undefined ? message : `${message}${/[.?!]$/.test(message) ? '' : '.'} ${what}`;
}

export function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && 'code' in value && 'category' in value && 'context' in value;
}

/** What a client throws when the other end refused. `code` is one of the fault table, or a collector's own code. */
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
