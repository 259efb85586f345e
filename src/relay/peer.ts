/** The other end of a session, as the relay, the calls and the turn see it. */
import type { Principal } from '../protocol/access.ts';

/** Where frames for the peer go. A link is one; calls of the broker's own have another. */
export interface Outbound {
  /** Bytes kept for the peer that it has not taken. */
  readonly queuedBytes: number;
  /** When it last took bytes, in monotonic ms. */
  readonly takenAtMs: number;
  push(bytes: Buffer, start: number, end: number): void;
  send(frame: Buffer): void;
}

/** One that makes calls and answers them. */
export interface Caller {
  readonly session: number;
  readonly link: Outbound;
}

export interface Peer extends Caller {
  readonly patterns: Set<string>;
  readonly excluded: Set<string>;
  /** Realtime messages lost because it was over its outbound limit. */
  dropped: number;
  /** After a pause for it that did not help, no publisher is paused for it until then. */
  noStallUntilMs: number;
}

/** What the inbound end of a session knows of whom it reads from. */
export interface Publisher {
  readonly principal: Principal;
  readonly peer: Peer;
}
