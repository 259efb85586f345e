/** What a store should hold, kept beside it in the simplest way: one value after every commit. */
import { crc32 } from 'node:zlib';
import type { AttemptRecord, StoredTask, StoreRecord } from '../../src/core/record.ts';
import { isEnded } from '../../src/protocol/state.ts';
import type { StoredDetail, TaskFilter } from '../../src/store/port.ts';

export interface Expected {
  /** By `seq`: what lives and what has ended. */
  readonly tasks: ReadonlyMap<number, StoredDetail>;
  readonly settings: ReadonlyMap<string, string>;
  readonly expiredBeforeMs: number;
}

export const nothingExpected: Expected = { tasks: new Map(), settings: new Map(), expiredBeforeMs: 0 };
const noBytes = new Uint8Array(0);

export function expectedAfter(before: Expected, records: readonly StoreRecord[]): Expected {
  const [tasks, settings] = [new Map(before.tasks), new Map(before.settings)];
  let { expiredBeforeMs } = before;
  for (const record of records)
    switch (record.kind) {
      case 'setting':
        if (record.value === undefined) settings.delete(record.key);
        else settings.set(record.key, record.value);
        break;
      case 'submitted': {
        const { seq, spec, submittedAtMs } = record;
        const none = { readyAtMs: undefined, delayMs: undefined, error: undefined, collectorId: undefined };
        const fresh = { ...none, state: 'pending', attempt: 0, token: '', atMs: submittedAtMs, excluded: [] } as const;
        tasks.set(seq, { ...fresh, seq, spec, submittedAtMs, attempts: [], result: undefined });
        break;
      }
      case 'attempt': {
        const { kind: _, seq, ...attempt } = record;
        const task = tasks.get(seq)!;
        tasks.set(seq, { ...task, attempts: [...task.attempts, attempt] });
        break;
      }
      case 'moved': {
        const { kind: _, seq, collectorId, ...progress } = record;
        const task = tasks.get(seq)!;
        tasks.set(seq, { ...task, ...progress, collectorId: collectorId ?? task.collectorId });
        break;
      }
      case 'expired':
        expiredBeforeMs = Math.max(expiredBeforeMs, record.beforeMs);
        break;
      case 'purged':
        for (const seq of record.seqs) tasks.delete(seq);
        break;
      case 'trimmed':
        for (const seq of record.seqs) {
          const task = tasks.get(seq)!;
          tasks.set(seq, { ...task, spec: { ...task.spec, payload: noBytes }, result: undefined });
        }
    }
  return { tasks, settings, expiredBeforeMs };
}

/** What retention finds that is too old: the oldest first. */
export function expectedPurge({ tasks }: Expected, beforeMs: number, limit: number): number[] {
  const ended = [...tasks.values()].filter(({ state, atMs }) => isEnded(state) && atMs < beforeMs);
  return ended
    .sort((a, b) => a.atMs - b.atMs || a.seq - b.seq)
    .slice(0, limit)
    .map(({ seq }) => seq);
}

export const fitsFilter = (task: StoredTask, { states, operation, collectorId, beforeSeq }: TaskFilter): boolean =>
  (states.length === 0 || states.includes(task.state)) &&
  (operation === undefined || task.spec.operation === operation) &&
  (collectorId === undefined || task.collectorId === collectorId) &&
  (beforeSeq === undefined || task.seq < beforeSeq);

const bytesText = (bytes: Uint8Array | undefined): string =>
  bytes === undefined || bytes.length === 0 ? '' : `${bytes.length}:${crc32(bytes)}`;

/** All of a task, as in a list. */
export function taskText({ seq, spec, submittedAtMs, state, attempt, token, atMs, ...rest }: StoredTask): string {
  const { collectorId, readyAtMs, delayMs, error, excluded } = rest;
  const { payload: _, ...plain } = spec;
  const progress = [state, attempt, token, atMs, collectorId, readyAtMs, delayMs, error, excluded];
  return JSON.stringify([seq, submittedAtMs, progress, plain]);
}

const attemptText = ({ attempt, collectorId, startedAtMs, endedAtMs, outcome, error }: AttemptRecord): string =>
  JSON.stringify([attempt, collectorId, startedAtMs, endedAtMs, outcome, error]);

const detailTexts = new WeakMap<StoredDetail, string>();

/** All of a task, with its bodies and attempts. */
export function detailText(task: StoredDetail): string {
  let text = detailTexts.get(task);
  if (text === undefined) {
    const bodies = `${bytesText(task.spec.payload as Uint8Array)} ${bytesText(task.result)}`;
    text = `${taskText(task)} ${bodies} ${task.attempts.map(attemptText).join(' ')}`;
    detailTexts.set(task, text);
  }
  return text;
}

/** In what way two are not the same; undefined when they are. */
export function difference(expected: Expected, actual: Expected): string | undefined {
  for (const [seq, task] of expected.tasks) {
    const other = actual.tasks.get(seq);
    if (other === undefined) return `task ${seq} (${task.state}) is not there`;
    if (detailText(task) !== detailText(other))
      return `task ${seq} is not what it was:\n  ${detailText(task)}\n  ${detailText(other)}`;
  }
  for (const seq of actual.tasks.keys()) if (!expected.tasks.has(seq)) return `task ${seq} should not be there`;
  if (expected.expiredBeforeMs !== actual.expiredBeforeMs)
    return `ids before ${expected.expiredBeforeMs} are old, and those before ${actual.expiredBeforeMs} are refused`;
  const settings = [expected, actual].map((one) => JSON.stringify([...one.settings].sort()));
  return settings[0] === settings[1] ? undefined : `settings ${settings.join(', but there are ')}`;
}
