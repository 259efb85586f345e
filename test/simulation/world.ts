/** What the clients of a life see of it. */
import type { Limits } from '../../src/protocol/limits.ts';
import type { WallTwin } from '../twins/clock.ts';
import type { FarEnd, FarHandlers } from '../twins/stream.ts';
import type { Timeline } from '../twins/timeline.ts';
import type { Dice } from './dice.ts';
import type { DurableLedger } from './durable.ts';
import type { Ledger } from './ledger.ts';
import type { Trace } from './trace.ts';
import type { Wire } from './wire.ts';

export interface LifeWorld {
  readonly dice: Dice;
  readonly timeline: Timeline;
  readonly wall: WallTwin;
  readonly trace: Trace;
  readonly limits: Limits;
  readonly durable: DurableLedger;
  readonly ledger: Ledger;
  /** Tasks whose payloads cannot be read back. */
  readonly damaged: Set<string>;
  /** From now on nothing goes wrong any more. */
  readonly isCalm: boolean;
  /** A connection to the broker; undefined while none runs. */
  readonly connect: (wire: Wire, handlers: FarHandlers) => FarEnd | undefined;
  /** A check failed; the life ends with this. */
  readonly fail: (error: unknown) => void;
}
