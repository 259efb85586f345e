/**
 * What must hold after every step of the core: its invariants, that what was recovered is what was kept, and how it
 * behaves (`behaviour.ts`). Throws nothing into the broker: a check that fails ends the life.
 */
import assert from 'node:assert/strict';
import { Reader, Writer } from '../../src/core/bytes.ts';
import type { Input, Output } from '../../src/core/input.ts';
import { checkInvariants } from '../../src/core/invariants.ts';
import type { JournalRecord, StoredTask } from '../../src/core/record.ts';
import { readRecord, writeRecord } from '../../src/core/record-bytes.ts';
import { fullRecord, newDurable, replay } from '../../src/core/replay.ts';
import type { CoreState } from '../../src/core/state.ts';
import type { step } from '../../src/core/step.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import type { Now } from '../../src/time/now.ts';
import { type Backoff, Behaviour } from './behaviour.ts';
import type { DurableLedger, LedgerTask } from './durable.ts';

export interface StepCheckOptions {
  readonly limits: Limits;
  readonly durable: DurableLedger;
  /** Every token that was ever made, over all processes. */
  readonly tokens: Set<string>;
  readonly backoffs: Backoff[];
  readonly fail: (error: unknown) => void;
  /** When the store was last loaded. */
  readonly loadedAt: () => Now;
}

export class StepCheck {
  readonly #options: StepCheckOptions;
  readonly #behaviour: Behaviour;
  steps = 0;
  #folded = newDurable();
  state: CoreState | undefined;

  constructor(options: StepCheckOptions) {
    this.#options = options;
    this.#behaviour = new Behaviour(options);
  }

  wrap(inner: typeof step): typeof step {
    return (state, input, now, out, facts) => {
      this.steps++;
      try {
        if (state !== this.state) this.#recovered(state);
        this.#around(inner, state, input, now, out, facts);
      } catch (error) {
        this.#options.fail(error);
      }
    };
  }

  #around(
    inner: typeof step,
    state: CoreState,
    input: Input,
    now: Now,
    out: Output[],
    facts: Parameters<typeof step>[4],
  ): void {
    const first = out.length;
    const before = this.#behaviour.before(state, input);
    inner(state, input, now, out, facts);
    checkInvariants(state);
    const isOver = !state.frozen && !state.unfinished;
    if (isOver) assert(state.deadlines.nextMs > now.monotonicMs, 'I7: something is overdue after a step');
    this.#behaviour.after(state, input, before, now, out, first);
    this.#fold(state, out.slice(first));
  }

  /** The records of the step, as bytes and back, make the same durable state; so does a full record alone. */
  #fold(state: CoreState, out: readonly Output[]): void {
    const records = out.flatMap((output) => (output.kind === 'record' ? [output.record] : []));
    for (const record of records)
      replay(this.#folded, throughBytes('spec' in record ? { ...record, spec: blank(record.spec) } : record));
    assert.equal(this.#folded.tasks.size, state.tasks.size, 'the fold of the records has what lives');
    assert.equal(this.#folded.nextSeq, state.nextSeq, 'the fold of the records counts on');
    assert.equal(this.#folded.expiredBeforeMs, state.expiredBeforeMs, 'the fold of the records knows what expired');
    for (const record of records) {
      const folded = 'seq' in record ? this.#folded.tasks.get(record.seq) : undefined;
      if (folded === undefined) continue;
      const task = state.tasks.get(folded.spec.id);
      assert(task !== undefined, `${folded.spec.id} lives in the fold of the records only`);
      const alone = newDurable();
      replay(alone, throughBytes(blankRecord(task)));
      assert.deepEqual(folded, fieldsOf(blankRecord(task)), 'the fold of the records is the durable state');
      assert.deepEqual(alone.tasks.get(task.seq), folded, 'a full record gives what the small ones gave');
    }
  }

  /** A state that has just been made from what the store kept. */
  #recovered(state: CoreState): void {
    this.state = state;
    this.#folded = newDurable();
    for (const task of state.tasks.values()) replay(this.#folded, throughBytes(blankRecord(task)));
    this.#folded.nextSeq = state.nextSeq;
    this.#folded.expiredBeforeMs = state.expiredBeforeMs;
    const { durable, loadedAt } = this.#options;
    assert.equal(state.tasks.size, durable.live.size, 'I1: the live tasks are recovered');
    assert.equal(state.expiredBeforeMs, durable.expiredBeforeMs, 'I2: what expired is recovered');
    for (const kept of durable.live) this.#recoveredTask(state, kept, loadedAt());
    this.#behaviour.renew(state);
  }

  #recoveredTask(state: CoreState, { spec, seq, now: kept }: LedgerTask, at: Now): void {
    const { id } = spec;
    const task = state.tasks.get(id);
    assert(task !== undefined, `I1: live task ${id} is not recovered`);
    const { attempt, token, excluded, error, life } = task;
    assert.deepEqual(
      { seq: task.seq, state: life.state, attempt, token, excluded, error },
      {
        seq,
        state: kept.state,
        attempt: kept.attempt,
        token: kept.token,
        excluded: kept.excluded,
        error: kept.error,
      },
      `I1: task ${id} is recovered as another`,
    );
    if (life.state === 'in_progress') assert.equal(life.collectorId, kept.collectorId, `the collector of ${id}`);
    if (life.state !== 'retrying') return;
    const leftMs = Math.max(0, Math.min((kept.readyAtMs ?? 0) - at.wallMs, kept.delayMs ?? 0));
    const dueInMs = task.dueMs - at.monotonicMs;
    assert(
      Math.abs(dueInMs - leftMs) < 1,
      `I7: retrying task ${id} is recovered to be due in ${dueInMs}, not ${leftMs} ms`,
    );
  }
}

const writer = new Writer();

function throughBytes(record: JournalRecord): JournalRecord {
  writer.clear();
  writeRecord(writer, record);
  return readRecord(new Reader(writer.written.slice()));
}

/** The payload may have left memory: only its length counts here. */
const blank = (spec: TaskSpec): TaskSpec => ({ ...spec, payload: new Uint8Array(spec.payload.length) });

const blankRecord = (task: StoredTask) => ({ ...fullRecord(task), spec: blank(task.spec) });

const fieldsOf = ({ kind: _, ...task }: ReturnType<typeof fullRecord>) => task;
