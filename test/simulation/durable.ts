/**
 * What the disk was given, record by record: the truth that everything else is held against. A task that was purged is
 * never submitted again.
 */
import assert from 'node:assert/strict';
import type { Expiry } from '../../src/book/port.ts';
import type { AttemptRecord, StoreRecord, TaskProgress } from '../../src/core/record.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import { isEnded } from '../../src/protocol/state.ts';
import { uuidTimeMs } from '../../src/protocol/uuid-time.ts';

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
  /** No id whose time is before this may be new. */
  expiredBeforeMs = 0;
  submitted = 0;
  commits = 0;
  readonly #bySeq = new Map<number, LedgerTask>();
  readonly #tokens = new Set<string>();
  #expiry: Expiry | undefined;

  applied(records: readonly StoreRecord[]): void {
    this.commits++;
    for (const record of records) this.#apply(record);
  }

  /** Retention looked for what is kept no longer. */
  looked(expiry: Expiry): void {
    this.#expiry = expiry;
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
    if (record.kind === 'expired') return this.#expire(record.beforeMs);
    if (record.kind === 'purged') return this.#purge(record.seqs);
    if (record.kind === 'trimmed') return this.#trim(record.seqs);
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
    assert(uuidTimeMs(id) >= this.expiredBeforeMs, `I2: task ${id} may have been accepted before`);
    const none = { collectorId: undefined, readyAtMs: undefined, delayMs: undefined, error: undefined } as const;
    const now = { state: 'pending', attempt: 0, token: '', atMs: submittedAtMs, excluded: [], ...none } as const;
    const task = { seq, spec, seen: new Set(['pending 0']), attempts: [], now, hasResult: false };
    assert(!this.#bySeq.has(seq), `I2: sequence ${seq} is used twice`);
    this.submitted++;
    this.tasks.set(id, task);
    this.#bySeq.set(seq, task);
    this.live.add(task);
  }

  #expire(beforeMs: number): void {
    assert(beforeMs > this.expiredBeforeMs, 'the mark of expired ids only rises');
    this.expiredBeforeMs = beforeMs;
  }

  /** Only what is too old, or too much; and no id that could be new again. */
  #purge(seqs: readonly number[]): void {
    const { beforeMs, deadLettersBeforeMs, tasksMax, wallMs } = this.#expiry!;
    const ended = [...this.tasks.values()].filter(({ now }) => isEnded(now.state));
    const gone = new Set(seqs);
    const isDead = ({ now }: LedgerTask): boolean => now.state === 'dead_letter';
    const isOnlyDeadLeft = ended.every((task) => gone.has(task.seq) || isDead(task));
    for (const seq of seqs) {
      const task = this.#bySeq.get(seq);
      assert(task !== undefined && isEnded(task.now.state), `I1: task ${seq} is purged and has not ended`);
      const { id } = task.spec;
      const isOld = task.now.atMs < (isDead(task) ? deadLettersBeforeMs : beforeMs);
      assert(isOld || ended.length - seqs.length >= tasksMax, `I1: task ${id} is purged too early`);
      assert(isOld || !isDead(task) || isOnlyDeadLeft, `I1: dead letter ${id} is purged before others`);
      const idMs = uuidTimeMs(id);
      assert(idMs < this.expiredBeforeMs || idMs > wallMs, `I2: task ${id} is purged and could be accepted again`);
      this.tasks.delete(id);
      this.#bySeq.delete(seq);
      this.purged.add(id);
    }
  }

  #trim(seqs: readonly number[]): void {
    for (const seq of seqs)
      assert(isEnded(this.#bySeq.get(seq)?.now.state ?? 'pending'), `I1: the bodies of live task ${seq} are deleted`);
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
