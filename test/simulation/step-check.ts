/**
 * What must hold after every step of the core: its invariants, that what was recovered is what was kept, and how it
 * behaves (`behaviour.ts`). Throws nothing into the broker: a check that fails ends the life.
 */
import assert from 'node:assert/strict';
import type { Input, Output } from '../../src/core/input.ts';
import { checkInvariants } from '../../src/core/invariants.ts';
import type { CoreState } from '../../src/core/state.ts';
import type { step } from '../../src/core/step.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import type { Now } from '../../src/time/now.ts';
import { type Backoff, Behaviour } from './behaviour.ts';
import type { Durable, DurableTask } from './durable.ts';

export interface StepCheckOptions {
  readonly limits: Limits;
  readonly durable: Durable;
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
    assert(state.deadlines.nextMs > now.monotonicMs, 'I7: something is overdue after a step');
    this.#behaviour.after(state, input, before, now, out, first);
  }

  /** A state that has just been made from what the store kept. */
  #recovered(state: CoreState): void {
    this.state = state;
    const { durable, loadedAt } = this.#options;
    assert.equal(state.tasks.size, durable.live.size, 'I1: the live tasks are recovered');
    for (const kept of durable.live) this.#recoveredTask(state, kept, loadedAt());
    this.#behaviour.renew(state);
  }

  #recoveredTask(state: CoreState, { spec, seq, now: kept }: DurableTask, at: Now): void {
    const { id } = spec;
    const task = state.tasks.get(id);
    assert(task !== undefined, `I1: live task ${id} is not recovered`);
    const { attempt, token, excluded, lastError, life } = task;
    assert.deepEqual(
      { seq: task.seq, state: life.state, attempt, token, excluded, lastError },
      {
        seq,
        state: kept.state,
        attempt: kept.attempt,
        token: kept.token,
        excluded: kept.excluded,
        lastError: kept.error,
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
