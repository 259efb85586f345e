/** What a row of the table of methods says. */
import { z } from 'zod';
import type { FaultCode } from './fault.ts';
import type { Role } from './schema.ts';

export interface MethodRow<
  P extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
  D extends boolean = boolean,
> {
  readonly summary: string;
  readonly roles: readonly Role[];
  /** Whether the reply waits for a commit: such a handler answers through the turn and cannot answer by itself. */
  readonly durable: D;
  /** Beside `commonFaults`. */
  readonly faults: readonly FaultCode[];
  readonly params: P;
  readonly reply: R;
}

export const row = <P extends z.ZodType, R extends z.ZodType, const D extends boolean>(
  of: MethodRow<P, R, D>,
): MethodRow<P, R, D> => of;

export const noParamsSchema = z.strictObject({});
