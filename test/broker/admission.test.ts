/** What becomes of a deletion when the disk is full. */
import { expect, test } from 'vitest';
import { admit, needOf } from '../../src/broker/admission.ts';
import type { Input } from '../../src/core/input.ts';
import { bytesOf } from '../../src/core/record-size.ts';
import { deletionOf } from '../conformance/records.ts';

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
