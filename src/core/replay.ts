/**
 * The part of the state that survives, as the fold of the records: what lives, the settings, and the marks
 * below which no number and no id is new. `replay` is the only way
 * it is made: at the start from what was remembered, and while the broker runs by `advance`, which every change of a task
 * goes through. What has ended is not in it.
 */
import { isEnded } from '../protocol/state.ts';
import { uuidTimeMs } from '../protocol/uuid-time.ts';
import type { JournalRecord, RecordOf, StoredTask } from './record.ts';

/** A task as far as it is durable. */
export type DurableTask = { -readonly [Field in keyof StoredTask]: StoredTask[Field] };

export interface Durable {
  /** By `seq`, in order of acceptance. */
  readonly tasks: Map<number, DurableTask>;
  /** By key. */
  readonly settings: Map<string, string>;
  /** Larger than that of any task ever accepted. */
  nextSeq: number;
  /** No new task has an id whose time is before this; 0 as long as retention has deleted none. */
  expiredBeforeMs: number;
}

export const newDurable = (): Durable => ({ tasks: new Map(), settings: new Map(), nextSeq: 1, expiredBeforeMs: 0 });

/** A small record of a task that is not there changes nothing: a later full record, or its end, was seen already. */
export function replay(durable: Durable, record: JournalRecord): void {
  switch (record.kind) {
    case 'submitted':
    case 'task':
      durable.tasks.set(record.seq, record.kind === 'task' ? taskOf(record) : submittedTask(record));
      durable.nextSeq = Math.max(durable.nextSeq, record.seq + 1);
      return;
    case 'moved': {
      const task = durable.tasks.get(record.seq);
      if (task === undefined) return;
      advance(task, record);
      if (isEnded(task.state)) durable.tasks.delete(record.seq);
      return;
    }
    case 'setting':
      if (record.value === undefined) durable.settings.delete(record.key);
      else durable.settings.set(record.key, record.value);
      return;
    case 'counted':
      durable.nextSeq = Math.max(durable.nextSeq, record.nextSeq);
      return;
    case 'expired':
      durable.expiredBeforeMs = Math.max(durable.expiredBeforeMs, record.beforeMs);
      return;
    case 'level': // looked at where records are read
    case 'purged': // of what has ended
    case 'trimmed': // the same
    case 'attempt': // of a task that lives, or of one that is about to end: only its row needs it
  }
}

export function advance(task: DurableTask, moved: RecordOf<'moved'>): void {
  task.state = moved.state;
  task.attempt = moved.attempt;
  task.token = moved.token;
  task.atMs = moved.atMs;
  task.collectorId = moved.collectorId ?? task.collectorId;
  task.readyAtMs = moved.readyAtMs;
  task.delayMs = moved.delayMs;
  task.error = moved.error;
  task.excluded = moved.excluded;
}

export const submittedTask = ({ seq, spec, submittedAtMs }: Omit<RecordOf<'submitted'>, 'kind'>): DurableTask => ({
  seq,
  spec,
  submittedAtMs,
  state: 'pending',
  attempt: 0,
  token: '',
  atMs: submittedAtMs,
  collectorId: undefined,
  readyAtMs: undefined,
  delayMs: undefined,
  error: undefined,
  excluded: [],
});

/**
 * From when on an ended task is kept: its end, or the time of its id where that is ahead. A deleted id is then not ahead of
 * the clock, so that ids of the same age can be refused without refusing new ones.
 */
export const keptFromMs = ({ atMs, spec }: Pick<StoredTask, 'atMs' | 'spec'>): number =>
  Math.max(atMs, uuidTimeMs(spec.id) || 0);

/** The record that makes the task from nothing. */
export const fullRecord = (task: StoredTask): RecordOf<'task'> => ({ kind: 'task', ...taskOf(task) });

const taskOf = (task: StoredTask): DurableTask => ({
  seq: task.seq,
  spec: task.spec,
  submittedAtMs: task.submittedAtMs,
  state: task.state,
  attempt: task.attempt,
  token: task.token,
  atMs: task.atMs,
  collectorId: task.collectorId,
  readyAtMs: task.readyAtMs,
  delayMs: task.delayMs,
  error: task.error,
  excluded: task.excluded,
});
