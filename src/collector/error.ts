/** The errors that a handler throws to decide what happens to its task, and their report to the broker. */
import type { Params } from '../protocol/message.ts';

/** Thrown by a handler: do not try this task again; it goes to the dead letters. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError';
}

/** Thrown by a handler: try again after this time, instead of the task's backoff. */
export class RetryAfterError extends Error {
  override readonly name = 'RetryAfterError';
  readonly afterMs: number;

  constructor(afterMs: number, message: string) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Thrown by a handler: another collector may be able to, this one is not. */
export class ExcludeMeError extends Error {
  override readonly name = 'ExcludeMeError';
}

const codeBytesMax = 64;
const messageBytesMax = 8192;
const retryAfterMsMax = 366 * 24 * 3_600_000;

/** The params of `task.fail` for what a handler threw. */
export function failureOf(error: unknown): Omit<Params<'task.fail'>, 'task_id' | 'token'> {
  const { name = 'Error', message = String(error) } = error instanceof Error ? error : {};
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : name;
  const described = { code: cut(code, codeBytesMax), message: cut(message, messageBytesMax) };
  if (error instanceof NonRetryableError) return { error: described, next: 'give_up' };
  if (error instanceof ExcludeMeError) return { error: described, next: 'elsewhere' };
  if (error instanceof RetryAfterError)
    return {
      error: described,
      next: 'retry',
      retry_after_ms: Math.min(Math.max(0, Math.round(error.afterMs) || 0), retryAfterMsMax),
    };
  return { error: described, next: 'retry' };
}

/** At most so many bytes of UTF-8, without half a character at the end. */
function cut(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const { written } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax));
  return Buffer.from(text).toString('utf8', 0, written);
}
