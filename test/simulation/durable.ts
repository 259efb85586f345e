/**
 * What the disk was given, record by record: the truth that everything else is held against. A task that is submitted
 * again after it was purged is another one.
 */
import assert from 'node:assert/strict';
import type { AttemptRecord, StoreRecord, TaskProgress } from '../../src/core/record.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import { isEnded } from '../../src/protocol/state.ts';
import type { PurgeOptions } from '../../src/store/port.ts';

export interface LedgerTask {
  readonly seq: number;
  readonly spec: TaskSpec;
  /** Everything that could ever be seen of it, as `state attempt`. */
  readonly seen: Set<string>;
  readonly attempts: AttemptRecord[];
  now: Omit<TaskProgress, 'atMs'> & { readonly atMs: number };
  hasResult: boolean;
}

export class DurableLedger {
  /** By id; the latest with that id. */
  readonly tasks = new Map<string, LedgerTask>();
  readonly live = new Set<LedgerTask>();
  readonly settings = new Map<string, string>();
  /** Keys of settings that were ever made, or taken back. */
  readonly keysSet = new Set<string>();
  readonly purged = new Set<string>();
  submitted = 0;
  commits = 0;
  readonly #bySeq = new Map<number, LedgerTask>();
  readonly #tokens = new Set<string>();

  applied(records: readonly StoreRecord[]): void {
    this.commits++;
    for (const record of records) this.#apply(record);
  }

  /** Only what ended long ago is deleted. */
  deleted({ beforeMs, deadLettersBeforeMs, limit }: PurgeOptions): void {
    let left = limit;
    for (const [id, { now, seq }] of this.tasks) {
      if (!isEnded(now.state) || now.atMs >= (now.state === 'dead_letter' ? deadLettersBeforeMs : beforeMs)) continue;
      if (left-- === 0) break;
      this.tasks.delete(id);
      this.#bySeq.delete(seq);
      this.purged.add(id);
    }
  }

  wasToken(token: string): boolean {
    return this.#tokens.has(token);
  }

  /** Whether the task could be seen in this state. */
  wasSeen(id: string, state: string, attempt?: number): boolean {
    const task = this.tasks.get(id);
    if (task === undefined) return this.purged.has(id);
    if (attempt !== undefined) return task.seen.has(`${state} ${attempt}`);
    for (const one of task.seen) if (one.startsWith(state)) return true;
    return false;
  }

  #apply(record: StoreRecord): void {
    if (record.kind === 'setting') {
      this.keysSet.add(record.key);
      if (record.value === undefined) this.settings.delete(record.key);
      else this.settings.set(record.key, record.value);
      return;
    }
    if (record.kind === 'submitted') return this.#submit(record);
    const task = this.#bySeq.get(record.seq);
    assert(task !== undefined, `I2: a ${record.kind} of task ${record.seq}, which was never submitted`);
    const { id } = task.spec;
    assert(!isEnded(task.now.state), `I3: task ${id} goes on after it is ${task.now.state}`);
    if (record.kind === 'attempt') this.#end(task, record);
    else this.#move(task, record);
  }

  #submit({ seq, spec, submittedAtMs }: Extract<StoreRecord, { kind: 'submitted' }>): void {
    const { id } = spec;
    assert(!this.tasks.has(id), `I2: task ${id} is accepted twice`);
    const none = { collectorId: undefined, readyAtMs: undefined, delayMs: undefined, error: undefined } as const;
    const now = { state: 'pending', attempt: 0, token: '', atMs: submittedAtMs, excluded: [], ...none } as const;
    const task = { seq, spec, seen: new Set(['pending 0']), attempts: [], now, hasResult: false };
    assert(!this.#bySeq.has(seq), `I2: sequence ${seq} is used twice`);
    this.submitted++;
    this.tasks.set(id, task);
    this.#bySeq.set(seq, task);
    this.live.add(task);
  }

  #end(task: LedgerTask, record: Extract<StoreRecord, { kind: 'attempt' }>): void {
    const { id, maxRetries } = task.spec;
    const { kind: _, seq: __, ...attempt } = record;
    assert.equal(attempt.attempt, task.attempts.length + 1, `I5: the attempts of ${id} have a gap`);
    assert(attempt.attempt <= maxRetries + 1, `I5: ${id} had ${attempt.attempt} attempts of ${maxRetries + 1}`);
    assert.equal(task.now.state, 'in_progress', `I5: an attempt of ${id} ended that had not begun`);
    task.attempts.push(attempt);
  }

  #move(task: LedgerTask, record: Extract<StoreRecord, { kind: 'moved' }>): void {
    const { kind: _, seq: __, result, ...progress } = record;
    const { id } = task.spec;
    if (progress.state === 'in_progress') {
      assert(!this.#tokens.has(progress.token), `I4: token ${progress.token} is given out twice`);
      this.#tokens.add(progress.token);
      assert.equal(progress.attempt, task.attempts.length + 1, `I5: the attempts of ${id} have a gap`);
    } else assert.equal(task.attempts.length, progress.attempt, `I5: an attempt of ${id} never ended`);
    task.now = { ...progress, collectorId: progress.collectorId ?? task.now.collectorId };
    task.seen.add(`${progress.state} ${progress.attempt}`);
    task.hasResult ||= result !== undefined;
    if (!isEnded(progress.state)) return;
    this.live.delete(task);
    const last = task.attempts.at(-1)?.outcome;
    assert.equal(last === 'completed', progress.state === 'completed', `I4: ${id} is ${progress.state} after ${last}`);
  }
}
