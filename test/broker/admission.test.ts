/** What the store has room for, and what becomes of the rest. */
import { describe, expect, test } from 'vitest';
import { admit, needOf } from '../../src/broker/admission.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { Input } from '../../src/core/input.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { bytesOf } from '../../src/core/record-size.ts';
import { newState, stepBytes } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { deletionOf } from '../conformance/records.ts';
import { named, registrationOf, specOf } from '../core/harness.ts';

const seqs = Array.from({ length: 10_000 }, (_, at) => 2 ** 52 + at);
const full = { most: 30_000_000, full: true };
const run = (): void => {};
const skipped = (): void => {};
const expireOf = (tasks: readonly number[], bodies: readonly number[]): Extract<Input, { kind: 'expire' }> => ({
  ...{ kind: 'expire', run, skipped },
  expired: { tasks, bodies, beforeMs: 7 },
});

test('it is taken from a full disk that has room for it, since it frees space', () => {
  const input = expireOf([1], []);
  expect(admit(input, full, needOf(input))).toBe('step');
});

test('without room it is left for later: told, not kept, and not refused', () => {
  const input = expireOf([1], []);
  expect(admit(input, full, needOf(input) - 1)).toEqual({ kind: 'settled', run: skipped });
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

describe('texts', () => {
  const batchOf = (tasks: number, text: string, payloadBytes = 0): Extract<Input, { kind: 'submit' }> => ({
    ...{ kind: 'submit', to: { session: 1, id: 1 }, batch: true },
    specs: Array.from({ length: tasks }, (_, at) =>
      specOf(`t${at}`, {
        metadata: Object.fromEntries(Array.from({ length: 64 }, (_, key) => [`k${key}`, text])),
        payload: new Uint8Array(payloadBytes),
      }),
    ),
  });
  const empty = { most: 32 * 1024 * 1024, full: false };

  test('of ASCII in a large batch are counted as they are, where the cheap bound does not fit', () => {
    const input = batchOf(170, 'x'.repeat(1024));
    expect(needOf(input)).toBeGreaterThan(empty.most);
    expect(needOf(input, empty.most)).toBeLessThan(14_000_000);
    expect(admit(input, empty, empty.most)).toBe('step');
  });

  test('are never counted as less than their record takes', () => {
    for (const text of ['x', 'é', '\u20ac', '\u{1f600}', '\ud800']) {
      const input = batchOf(3, text.repeat(300));
      const writer = new Writer();
      for (const spec of input.specs as TaskSpec[])
        writeRecord(writer, { kind: 'submitted', seq: 2 ** 52, spec, submittedAtMs: 2 ** 52 });
      expect(needOf(input, 0)).toBeGreaterThanOrEqual(writer.length + needOf({ kind: 'tick' }) - 64 * 1024);
    }
  });

  test('beyond what one commit may have are refused for good, and no full disk is blamed', () => {
    for (const full of [false, true]) {
      const refused = admit(batchOf(4, 'x', 9 * 1024 * 1024), { ...empty, full }, empty.most);
      expect(refused).toMatchObject({
        outcome: { code: 'invalid_params', retry: false, message: expect.stringMatching(/at most.*Send fewer tasks/) },
      });
    }
    expect(admit(batchOf(1, 'x'), { ...empty, full: true }, empty.most)).toMatchObject({
      outcome: { code: 'store_full', retry: true },
    });
  });
});
