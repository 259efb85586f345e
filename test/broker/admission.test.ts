/** What becomes of a deletion when the disk is full. */
import { expect, test } from 'vitest';
import { admit, needOf } from '../../src/broker/admission.ts';
import type { Input } from '../../src/core/input.ts';
import { bytesOf } from '../../src/core/record-size.ts';
import { newState, stepBytes } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { deletionOf } from '../conformance/records.ts';
import { named, registrationOf, specOf } from '../core/harness.ts';

const seqs = Array.from({ length: 10_000 }, (_, at) => 2 ** 52 + at);
const run = (): void => {};
const skipped = (): void => {};
const expireOf = (tasks: readonly number[], bodies: readonly number[]): Extract<Input, { kind: 'expire' }> => ({
  ...{ kind: 'expire', run, skipped },
  expired: { tasks, bodies, beforeMs: 7 },
});

test('it is taken from a full disk that has room for it, since it frees space', () => {
  const input = expireOf([1], []);
  expect(admit(input, true, needOf(input))).toBe('step');
});

test('without room it is left for later: told, not kept, and not refused', () => {
  const input = expireOf([1], []);
  expect(admit(input, true, needOf(input) - 1)).toEqual({ kind: 'settled', run: skipped });
});

test('the room that it needs is that of its records, and of what a step writes beside', () => {
  const besideBytes = needOf({ kind: 'tick' }) - 64 * 1024;
  for (const input of [expireOf(seqs, []), expireOf([], seqs), expireOf(seqs, seqs)]) {
    const bytes = deletionOf(input.expired).reduce((sum, record) => sum + bytesOf(record), 0);
    expect(needOf(input) - bytes).toBeGreaterThanOrEqual(besideBytes);
  }
});

test('a submit that hands out a long queue while collectors fall silent writes no more than it needs', () => {
  const state = newState();
  const tasksMax = defaultLimits.collectorTasksMax;
  const stepAt = (monotonicMs: number, input: Input) => step(state, input, { monotonicMs, wallMs: monotonicMs }, []);
  const submitOf = (ids: readonly string[], operation: string): Input => ({
    ...{ kind: 'submit', to: { session: 1, id: 1 }, batch: true },
    specs: ids.map((id) => specOf(id, { operation })),
  });
  const register = (monotonicMs: number, session: number, operation: string): void => {
    const collector = registrationOf(`${operation}-${session}-`.padEnd(55, 'x'), {
      operations: [{ name: operation }],
      max_concurrent_tasks: tasksMax,
    });
    stepAt(monotonicMs, { kind: 'register', to: { session, id: 1 }, registration: collector });
  };
  const [silent, fresh] = [named(20, 's'), named(20, 'f')];
  for (const at of silent.keys()) register(0, 100 + at, 'silent');
  for (const name of silent) stepAt(0, submitOf(named(tasksMax, name), 'silent'));
  const silentMs = 3 * defaultLimits.heartbeatMs;
  for (const name of fresh) stepAt(1, submitOf(named(tasksMax, name), 'fresh'));
  state.frozen = true; // nothing is handed out until all of these are there
  for (const at of fresh.keys()) register(silentMs, 200 + at, 'fresh');
  state.frozen = false;
  const input = submitOf(['last'], 'fresh');
  stepAt(silentMs, input);
  expect(state.written).toBeGreaterThan(2 * stepBytes);
  expect(state.written).toBeLessThanOrEqual(needOf(input));
});
