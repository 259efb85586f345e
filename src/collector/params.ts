/** Parses the params of the collector methods by their schemas. */
import type { z } from 'zod';
import { type CollectorMethod, collectorMethods } from '../protocol/collector-method.ts';
import { FaultError, fault } from '../protocol/fault.ts';

export type CollectorParams<M extends CollectorMethod> = z.output<(typeof collectorMethods)[M]['params']>;
export type CollectorReply<M extends CollectorMethod> = z.output<(typeof collectorMethods)[M]['reply']>;

const problemsMax = 5;

/** Throws the FaultError `invalid_params`, which names each field and the rule that it breaks. */
export function parseParams<M extends CollectorMethod>(method: M, params: unknown): CollectorParams<M> {
  const parsed = collectorMethods[method].params.safeParse(params ?? {});
  if (!parsed.success) throw invalidParams(method, parsed.error, {});
  return parsed.data as CollectorParams<M>;
}

/** The failure of a schema, or of a collector's own check, as a fault. */
export function invalidParams(method: CollectorMethod, error: unknown, context: Record<string, unknown>): FaultError {
  const problems = problemsOf(error) ?? [error instanceof Error ? error.message : String(error)];
  return new FaultError(fault('invalid_params', `${method}: ${problems.join('; ')}`, { ...context, problems }));
}

/** `field: rule` for each issue of a schema's error, whichever copy of zod made it; undefined for any other error. */
export function problemsOf(error: unknown): string[] | undefined {
  if (!(error instanceof Error && 'issues' in error && Array.isArray(error.issues))) return undefined;
  return (error.issues as z.core.$ZodIssue[]).slice(0, problemsMax).flatMap((issue) => {
    const at = (path: readonly PropertyKey[]) => path.map(String).join('.') || 'params';
    return issue.code === 'unrecognized_keys'
      ? issue.keys
          .slice(0, problemsMax)
          .map((key) => `${at([...issue.path, key.slice(0, 80)])}: there is no such field`)
      : [`${at(issue.path)}: ${issue.message}`];
  });
}
