/** The options of a client and of its requests. */
import type { BodyName } from '../protocol/state.ts';
import type { ConnectOptions } from './dial.ts';

export interface ClientOptions extends ConnectOptions {
  /** The longest pause between two attempts to reconnect, in ms; called before each. Default 30,000. */
  readonly reconnectPauseMsMax?: () => number;
}

export interface CallOptions {
  /** Default 30,000; at most 300,000 for calls to collectors. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Gets the parts of a streamed reply. */
  readonly onChunk?: (body: unknown) => void;
}

export interface TaskReadOptions extends CallOptions {
  /** The bodies to come with it. One always fits a frame; two may not (`reply_too_large`). */
  readonly include?: readonly BodyName[];
}

export interface PublishOptions {
  readonly headers?: Readonly<Record<string, unknown>>;
  /** True: waits for slow subscribers, and is answered by the broker. Default false: realtime, at most once. */
  readonly confirm?: boolean;
}
