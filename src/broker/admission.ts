/**
 * Whether the store has room for what an input would write. That is decided before the core steps, since what it has
 * decided cannot be taken back. A disk that fills up refuses new work first; what ends accepted work is taken as long as
 * what was prepared for it lasts; then nothing is written at all until there is room again.
 */
import { type Input, type Output, type ReplyTo, reply } from '../core/input.ts';
import { exactly, fixedBytes, type Measure, specBytes } from '../core/record-size.ts';
import { stepBytes } from '../core/state.ts';
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import type { Room } from '../store/port.ts';

/** What a step may write beside what its input brings: it hands out and looks at what is due, twice at most. */
const ownBytes = 3 * stepBytes;
/** Of a request, beside its bodies: the longest error with its texts. */
const requestBytes = 64 * 1024;
const seqBytes = 8;
const retryAfterMs = 1000;

type Effect =
  /** Asks for new work. */
  | 'adds'
  /** Ends work, or changes it. */
  | 'changes'
  /** Has happened, and cannot be refused. */
  | 'happened'
  /** Makes room by ending what is kept; when there is none even for that it is left for later. */
  | 'upkeep'
  /** Writes nothing. */
  | 'shows';

const effects: { readonly [K in Input['kind']]: Effect } = {
  submit: 'adds',
  route: 'adds',
  cancel: 'changes',
  complete: 'changes',
  fail: 'changes',
  register: 'changes',
  deregister: 'changes',
  session_closed: 'happened',
  body_damaged: 'happened',
  stop: 'shows',
  tick: 'happened',
  expire: 'upkeep',
  heartbeat: 'shows',
  wait: 'shows',
  cancel_wait: 'shows',
  read: 'shows',
  settle: 'shows',
  publish: 'shows',
  bytes_read: 'shows',
  unread: 'shows',
};

/** Bytes of records that a step of the input may write: at most, and counted exactly only where so many are not left. */
export function needOf(input: Input, left = Number.POSITIVE_INFINITY): number {
  const most = ownBytes + broughtBytes(input);
  return most <= left || input.kind !== 'submit' ? most : ownBytes + broughtBytes(input, exactly);
}

function broughtBytes(input: Input, measure?: Measure): number {
  switch (input.kind) {
    case 'submit':
      return input.specs.reduce(
        (sum, spec) => sum + (isFault(spec) ? 0 : fixedBytes + specBytes(spec, measure)),
        requestBytes,
      );
    case 'complete':
      return requestBytes + (input.result?.length ?? 0);
    case 'expire':
      return requestBytes + seqBytes * (input.expired.tasks.length + input.expired.bodies.length);
    default:
      return requestBytes;
  }
}

/** To be stepped; to be kept until there is room; or what leaves in place of it. */
type Admission = 'step' | 'keep' | Output;

/** @param left bytes of room that nothing else has been promised. */
export function admit(input: Input, { full, most }: Omit<Room, 'bytes'>, left: number): Admission {
  const effect = effects[input.kind];
  if (effect === 'shows') return 'step';
  const isRefused = effect === 'adds' && full;
  const need = needOf(input, left);
  if (!isRefused && left >= need) return 'step';
  if (effect === 'happened') return 'keep';
  if (input.kind === 'expire') return { kind: 'settled', run: input.skipped };
  const { to } = input as Extract<Input, { to: ReplyTo }>;
  if (need > most) return reply(to, tooLarge(need, most));
  const message = isRefused
    ? 'The disk under the store is full: nothing new is accepted, and what runs may end.'
    : 'The disk under the store is full: there is no room for this.';
  return reply(to, fault('store_full', message, { retry_after_ms: retryAfterMs }));
}

const tooLarge = (need: number, most: number): Fault =>
  fault(
    'invalid_params',
    `This would take ${need} bytes in one commit of the store, and one has ${most} at most, however empty the disk is. Send fewer tasks at once, or less in each.`,
  );

/** Whether there is room for a step at all: it hands out, and looks at what is due. */
export const canStep = (left: number): boolean => left >= ownBytes;
