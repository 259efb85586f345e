import { expect, test } from 'vitest';
import type { JournalRecord } from '../../src/core/record.ts';
import { fullRecord, newDurable, replay } from '../../src/core/replay.ts';
import { moved, submitted } from '../conformance/records.ts';

const folded = (...records: readonly JournalRecord[]) => {
  const durable = newDurable();
  for (const record of records) replay(durable, record);
  return durable;
};

const error = { code: 'broken', message: 'it broke' };

test('a task is what its records say, in the order in which they came', () => {
  const { tasks } = folded(
    submitted(7, 'a'),
    moved(7, 'in_progress', { attempt: 1, token: '1.1', atMs: 20, collectorId: 'A' }),
    moved(7, 'retrying', { attempt: 1, token: '1.1', atMs: 30, readyAtMs: 90, delayMs: 60, error, excluded: ['A'] }),
  );
  expect([...tasks.keys()]).toEqual([7]);
  expect(tasks.get(7)).toMatchObject({
    ...{ seq: 7, spec: { id: 'a' }, state: 'retrying', attempt: 1, token: '1.1', atMs: 30, readyAtMs: 90, delayMs: 60 },
    // Of the latest attempt, whatever came after it.
    ...{ collectorId: 'A', error, excluded: ['A'] },
  });
});

test('what has ended is gone, and its number is never used again', () => {
  const durable = folded(submitted(1, 'a'), submitted(2, 'b'), moved(2, 'completed', { result: Uint8Array.of(1) }));
  expect([...durable.tasks.keys()]).toEqual([1]);
  expect(durable.nextSeq).toBe(3);
});

test('a full record makes a task from nothing, and replaces what was known of it', () => {
  const small = folded(submitted(3, 'a'), moved(3, 'in_progress', { attempt: 1, token: '1.1', collectorId: 'A' }));
  const full = fullRecord(small.tasks.get(3)!);
  expect(folded(full)).toEqual(small);
  expect(folded(submitted(3, 'a'), full)).toEqual(small);
  // It is a copy: what the task does next is not in it.
  replay(small, moved(3, 'pending', { attempt: 1, token: '1.1' }));
  expect(full.state).toBe('in_progress');
});

test('a small record of a task that is not there is skipped', () => {
  const attempt = { collectorId: 'A', startedAtMs: 1, endedAtMs: 2, outcome: 'failed', error } as const;
  const durable = folded(moved(9, 'pending', {}), { kind: 'attempt', seq: 9, attempt: 1, ...attempt });
  expect(durable).toEqual(newDurable());
});

test('the last setting counts', () => {
  const setting = { kind: 'setting', namespace: 'default', key: 'routing.strategy' } as const;
  const { settings } = folded({ ...setting, value: 'random' }, { ...setting, value: 'weighted' });
  expect([...settings]).toEqual([['routing.strategy', 'weighted']]);
});

test('the mark of expired ids only rises', () => {
  const expired = (beforeMs: number) => ({ kind: 'expired', beforeMs }) as const;
  expect(folded(expired(7), expired(9), expired(8)).expiredBeforeMs).toBe(9);
});

test('what is deleted of ended tasks changes nothing that lives', () => {
  const seqs = [1];
  const durable = folded(submitted(1, 'a'), { kind: 'purged', seqs }, { kind: 'trimmed', seqs });
  expect(durable).toEqual(folded(submitted(1, 'a')));
});
