/**
 * What goes into the core and what comes out. This is the design in two types: every change begins as an `Input`, and all
 * that follows from it is `Output`, in order. Records go to the store; everything else leaves once they are durable.
 */

import type { Heartbeat, RegistrationParsed } from '../protocol/collector-schema.ts';
import type { Fault } from '../protocol/fault.ts';
import type { Failure, Sync } from '../protocol/schema.ts';
import type { BodyName, TaskState } from '../protocol/state.ts';
import type { Now } from '../time/now.ts';
import type { Body } from './body.ts';
import type { CollectorStatus } from './collector.ts';
import type { Expired } from './expire.ts';
import type { StoreRecord } from './record.ts';
import type { CoreState } from './state.ts';
import type { TaskSpec } from './task.ts';

/** Whom to answer: a session, and the id of its request. */
export interface ReplyTo {
  readonly session: number;
  readonly id: number;
  /** Said in a result that is a promise. */
  readonly sync?: Sync;
}

/** A refusal, a result, or a result that is encoded already. */
export type Outcome = Fault | { readonly result: unknown } | { readonly encoded: Uint8Array };

export type Input =
  /** One task, or a batch with one outcome each; a spec that was refused on the way in is its fault. */
  | {
      readonly kind: 'submit';
      readonly to: ReplyTo;
      readonly specs: readonly (TaskSpec | Fault)[];
      readonly batch: boolean;
    }
  | { readonly kind: 'cancel'; readonly to: ReplyTo; readonly id: string; readonly reason: string }
  | {
      readonly kind: 'wait';
      readonly to: ReplyTo;
      readonly id: string;
      readonly include: readonly BodyName[];
      readonly timeoutMs: number;
    }
  | { readonly kind: 'cancel_wait'; readonly to: ReplyTo }
  /** Sees the state between two inputs; its answer leaves in its place among the others. */
  | { readonly kind: 'read'; readonly to: ReplyTo; readonly read: (state: CoreState, now: Now) => Outcome }
  /** Changes nothing: `run` is called once everything before it is durable. For reads of the store. */
  | { readonly kind: 'settle'; readonly to: ReplyTo; readonly run: () => void }
  /** As `read`, but what it shows is published on a topic of the broker's own. */
  | { readonly kind: 'publish'; readonly topic: string; readonly read: (state: CoreState, now: Now) => unknown }
  | { readonly kind: 'register'; readonly to: ReplyTo; readonly registration: RegistrationParsed }
  | { readonly kind: 'heartbeat'; readonly to: ReplyTo; readonly report: Heartbeat }
  | { readonly kind: 'deregister'; readonly to: ReplyTo; readonly force: boolean; readonly reason: string }
  | {
      readonly kind: 'complete';
      readonly to: ReplyTo;
      readonly taskId: string;
      readonly token: string;
      readonly result: Uint8Array | undefined;
    }
  | { readonly kind: 'fail'; readonly to: ReplyTo; readonly failure: Failure }
  | {
      readonly kind: 'route';
      readonly to: ReplyTo;
      readonly strategy: string;
      readonly operation: string | undefined;
    }
  /** The session has read `bytes` of the payloads that were sent to its collector, or to the one it was. */
  | { readonly kind: 'bytes_read'; readonly session: number; readonly bytes: number }
  /** Of what was assigned to the session by the core before this one, it has not read `bytes` of payloads yet. */
  | { readonly kind: 'unread'; readonly session: number; readonly bytes: number }
  /** Retention deletes this; `run` is called once that is durable, or `skipped`, when the disk has no room for it. */
  | {
      readonly kind: 'expire';
      readonly expired: Expired;
      readonly run: () => void;
      readonly skipped: () => void;
    }
  | { readonly kind: 'session_closed'; readonly session: number }
  /** The store cannot give the payload of this task any more. */
  | { readonly kind: 'body_damaged'; readonly id: string; readonly isUndelivered: boolean }
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

export type Output =
  | { readonly kind: 'settled'; readonly run: () => void }
  | { readonly kind: 'record'; readonly record: StoreRecord }
  | { readonly kind: 'reply'; readonly to: ReplyTo; readonly outcome: Outcome }
  | { readonly kind: 'publish'; readonly topic: string; readonly body: unknown }
  /** The task that `to` waited for has ended; the answer is read from the store. */
  | { readonly kind: 'ended'; readonly to: ReplyTo; readonly id: string; readonly include: readonly BodyName[] }
  | {
      readonly kind: 'assign';
      readonly session: number;
      readonly topic: string;
      readonly spec: TaskSpec;
      /** As it was in memory; the turn reads back one that was not there. */
      payload: Body;
      readonly attempt: number;
      readonly token: string;
      readonly leaseMs: number;
    }
  | {
      readonly kind: 'cancel_attempt';
      readonly session: number;
      readonly topic: string;
      readonly id: string;
      readonly token: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'task_moved';
      readonly spec: TaskSpec;
      readonly state: TaskState;
      readonly attempt: number;
      readonly collectorId: string | undefined;
      readonly strategy?: string;
    }
  /** The session is this collector from now on. */
  | { readonly kind: 'registered'; readonly session: number; readonly registration: RegistrationParsed }
  | {
      readonly kind: 'collector_changed';
      readonly id: string;
      readonly type: string;
      readonly status: CollectorStatus | 'gone';
      readonly reason: string;
    };

export const reply = (to: ReplyTo, outcome: Outcome): Output => ({ kind: 'reply', to, outcome });
