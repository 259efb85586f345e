/** Errors without an answer, and which of them allow to repeat an idempotent request. */
import { FaultError, faultTable } from '../protocol/fault.ts';

/** The connection ended before the answer came. Whether the broker acted on the request is not known. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  readonly code = 'connection_lost';
}

/** Faults of a broker that is going away; the next one may accept the same request. */
const departures: ReadonlySet<string> = new Set([
  'broker_stopping',
  ...Object.entries(faultTable)
    .filter(([, { closes, retry }]) => closes && retry)
    .map(([code]) => code),
]);

/** Whether the broker went away: an idempotent request may be repeated when it is back. */
export const isDeparture = (error: unknown): boolean =>
  error instanceof ConnectionLostError || (error instanceof FaultError && departures.has(error.code));

export const isDeadline = (error: unknown): boolean =>
  error instanceof FaultError && error.code === 'deadline_exceeded';
