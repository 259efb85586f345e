/** What comes to a client beside the answers to its own requests: messages, and calls to be answered. */
import { Kind } from '../protocol/frame.ts';
import type { Headers } from './outgoing-frame.ts';

export interface Message {
  readonly topic: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
}

export interface IncomingCall {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
  /** 0 when the caller named none. */
  readonly timeoutMs: number;
}

/** The message of a publish, confirmed (whose sequence is the broker's business) or not. */
export function messageOf(frame: readonly unknown[]): Message {
  const [topic, body, headers] = frame.slice(frame[0] === Kind.publishConfirmed ? 2 : 1);
  return { topic: topic as string, body, ...(headers === undefined ? {} : { headers: headers as Headers }) };
}

export function callOf([, id, , method, params, timeoutMs]: readonly unknown[]): IncomingCall {
  return {
    id: id as number,
    method: method as string,
    params,
    timeoutMs: typeof timeoutMs === 'number' ? timeoutMs : 0,
  };
}
