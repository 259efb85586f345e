/** What the broker sends to a collector about its tasks. */

/** What comes on `control.tasks.{type}.{id}`: a task to do, or the cancel of an attempt. */
export interface Assignment {
  readonly kind: 'assign';
  readonly task_id: string;
  readonly operation: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** Fences this attempt: an answer must carry it, and it is never used again. Opaque. */
  readonly token: string;
  readonly priority: number;
  readonly timeout_ms: number;
  readonly lease_ms: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly correlation: Readonly<Record<string, unknown>>;
  readonly payload: unknown;
}

export interface AttemptCancel {
  readonly kind: 'cancel';
  readonly task_id: string;
  readonly token: string;
  readonly reason: string;
}
