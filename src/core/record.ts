/** What must be on disk before a reply or an assignment leaves, and what of it a start loads. The store's port carries these. */
import type { AttemptOutcome } from '../protocol/schema.ts';
import type { TaskState } from '../protocol/state.ts';
import type { TaskError, TaskSpec } from './task.ts';

export type StoreRecord =
  | { readonly kind: 'submitted'; readonly seq: number; readonly spec: TaskSpec; readonly submittedAtMs: number }
  | ({ readonly kind: 'moved'; readonly seq: number; readonly result: Uint8Array | undefined } & TaskProgress)
  | ({ readonly kind: 'attempt'; readonly seq: number } & AttemptRecord)
  | { readonly kind: 'setting'; readonly namespace: string; readonly key: string; readonly value: string | undefined }
  /** From here on no new task has an id whose time is before this: one with such an id may have been deleted. */
  | { readonly kind: 'expired'; readonly beforeMs: number }
  /** Retention deleted these ended tasks, with all that belongs to them. */
  | { readonly kind: 'purged'; readonly seqs: readonly number[] }
  /** Retention deleted the bodies of these ended tasks; the rest of them stays. */
  | { readonly kind: 'trimmed'; readonly seqs: readonly number[] };

/** What a journal holds: also records that make a task from nothing, whatever became of it since it was submitted. */
export type JournalRecord =
  | StoreRecord
  | ({ readonly kind: 'task' } & StoredTask)
  /** Every `seq` that was ever used is smaller than this. */
  | { readonly kind: 'counted'; readonly nextSeq: number }
  /** From here on there may be records of kinds that only a deye of this level knows. */
  | { readonly kind: 'level'; readonly level: number };

export type RecordOf<Kind extends JournalRecord['kind']> = Extract<JournalRecord, { readonly kind: Kind }>;

/** Where a task stands in its life. */
export interface TaskProgress {
  readonly state: TaskState;
  readonly attempt: number;
  /** The token of the latest lease; empty before the first. */
  readonly token: string;
  readonly atMs: number;
  /** The collector of the latest attempt. */
  readonly collectorId: string | undefined;
  /** For a retrying task: when it becomes pending, and the span that this was made from. */
  readonly readyAtMs: number | undefined;
  readonly delayMs: number | undefined;
  readonly error: TaskError | undefined;
  readonly excluded: readonly string[];
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly collectorId: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: AttemptOutcome;
  readonly error: TaskError | undefined;
}

/** A task as the store gives it back. */
export interface StoredTask extends TaskProgress {
  readonly seq: number;
  readonly spec: TaskSpec;
  readonly submittedAtMs: number;
}
