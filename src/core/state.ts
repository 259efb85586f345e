/** Everything the core knows. Each part has an owner, the file that its type comes from. */
import { defaultLimits, type Limits } from '../protocol/limits.ts';
import type { Totals } from '../protocol/view-schema.ts';
import { Deadlines } from '../time/deadlines.ts';
import type { Collector } from './collector.ts';
import { type Ended, newEnded } from './ended.ts';
import type { Output } from './input.ts';
import { newTokens, type Tokens } from './lease.ts';
import { newOperations, type Operations } from './operation.ts';
import { defaultPlacement } from './placement.ts';
import type { Random } from './random.ts';
import { bytesOf } from './record-size.ts';
import type { Task } from './task.ts';
import { type Classes, newClasses } from './task-class.ts';
import { newWaits, type Waiter, type Waits } from './wait.ts';

export interface CoreState {
  readonly limits: Limits;
  readonly random: Random;
  readonly tokens: Tokens;
  nextSeq: number;
  /** Ids with a time before this are no longer new: retention has deleted one as late. */
  expiredBeforeMs: number;
  /** Every task that has not ended. */
  readonly tasks: Map<string, Task>;
  readonly ended: Ended;
  readonly operations: Operations;
  readonly classes: Classes;
  readonly collectors: Map<string, Collector>;
  readonly collectorOfSession: Map<number, Collector>;
  readonly draining: Set<Collector>;
  /** Payload bytes that a session has not taken yet, of a collector that it was and may be again. */
  readonly unread: Map<number, number>;
  /** Collectors that may have gained credit in this step. */
  readonly freed: Set<Collector>;
  readonly waits: Waits;
  /** In monotonic ms. */
  readonly deadlines: Deadlines<Task | Collector | Waiter>;
  /** The placement of operations without one of their own. */
  strategy: string;
  readonly decisions: Map<string, number>;
  plansDropped: number;
  readonly totals: { -readonly [name in keyof Totals]: number };
  stopping: boolean;
  /** The store has no room: nothing is handed out and no deadline is looked at, only what writes nothing is done. */
  frozen: boolean;
  /** The latest step stopped because it wrote much; another goes on at once. */
  unfinished: boolean;
  /** Bytes that the records of the latest step take at most. */
  written: number;
  /** The outputs before this one are counted. */
  countedTo: number;
}

interface CoreOptions {
  readonly seed?: number;
  readonly limits?: Limits;
  /** Of this start; larger than that of any start before. */
  readonly epoch?: number;
  /** Of this start, for its tokens; what begins like an epoch it may not. */
  readonly nonce?: string;
}

export function newState({ seed = 1, limits = defaultLimits, epoch = 1, nonce = '' }: CoreOptions = {}): CoreState {
  return {
    limits,
    random: { seed },
    tokens: newTokens(epoch, nonce),
    nextSeq: 1,
    expiredBeforeMs: 0,
    tasks: new Map(),
    ended: newEnded(),
    operations: newOperations(),
    classes: newClasses(),
    collectors: new Map(),
    collectorOfSession: new Map(),
    draining: new Set(),
    unread: new Map(),
    freed: new Set(),
    waits: newWaits(),
    deadlines: new Deadlines(),
    strategy: defaultPlacement,
    decisions: new Map(),
    plansDropped: 0,
    totals: {
      submitted: 0,
      assigned: 0,
      completed: 0,
      failed_attempts: 0,
      retried: 0,
      requeued: 0,
      dead_lettered: 0,
      cancelled: 0,
    },
    stopping: false,
    frozen: false,
    unfinished: false,
    written: 0,
    countedTo: 0,
  };
}

/**
 * What a step writes of its own, beside what its input brings, ends a little behind this many bytes, so that the room for
 * it can be had before it begins. Who has credit or is due after that has its turn in the next step.
 */
export const stepBytes = 512 * 1024;

/** Adds to `written` the records among the outputs that came since the last call. */
export function countWritten(state: CoreState, out: readonly Output[]): void {
  for (; state.countedTo < out.length; state.countedTo++) {
    const output = out[state.countedTo]!;
    if (output.kind === 'record') state.written += bytesOf(output.record);
  }
}
