/** What the store has room for, and what becomes of the rest. */
import { describe, expect, test } from 'vitest';
import { admit, needOf } from '../../src/broker/admission.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { Input } from '../../src/core/input.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { bytesOf } from '../../src/core/record-size.ts';
import type { TaskSpec } from '../../src/core/task.ts';
import { deletionOf, specOf } from '../conformance/records.ts';

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
