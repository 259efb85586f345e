/** What the handlers and views need of the broker around them. */
import type { Logger } from 'pino';
import type { Input } from '../core/input.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Sync } from '../protocol/schema.ts';
import type { Calls } from '../relay/calls.ts';
import type { Relay } from '../relay/relay.ts';
import type { Now } from '../time/now.ts';
import type { Sessions } from './sessions.ts';
import type { StoreUpkeep } from './store-upkeep.ts';
import type { SupervisorPort } from './supervisor-port.ts';
import type { TaskReads } from './task-reads.ts';

export interface BrokerContext {
  readonly limits: Limits;
  readonly version: string;
  readonly log: Logger;
  /** Where it can be reached, what its store is, and the file of its log if it has one; shown, not used. */
  readonly place: { readonly socket: string; readonly store: string; readonly log?: string };
  /** How durable a commit is when it is answered. */
  readonly sync: Sync;
  readonly started: Now;
  readonly sessions: Sessions;
  readonly relay: Relay;
  readonly calls: Calls;
  readonly reads: TaskReads;
  readonly upkeep: StoreUpkeep;
  readonly supervisor: SupervisorPort | undefined;
  readonly commits: { readonly count: number; readonly latestMs: number };
  now(): Now;
  /** The time of an id that is made now: not before that of any deleted task, also when the clock was set back. */
  newIdMs(): number;
  /** Gives the core an input; it is stepped at the end of this loop pass. */
  enqueue(input: Input): void;
  requestStop(type: 'graceful' | 'immediate'): void;
  isRegistered(collectorId: string): boolean;
}
