/** Where the run of whole batches ends. */
import { expect, test } from 'vitest';
import { type FoundBatch, findRun, recoverRun } from '../../src/journal/recovery.ts';

/** A chain of batches in one segment, each of one block, in these epochs. */
const chainIn = (...epochs: number[]): FoundBatch[] =>
  epochs.map((epoch, at) => ({
    ...{ kind: 'records', epoch, ordinal: at + 1, sequence: at + 1, synced: at, chain: at, recordsChain: at },
    ...{ records: 1, bodyBytes: 0, pointer: undefined, writtenAtMs: 0, crc: at + 1, block: at + 1, blocks: 1 },
  }));

test('a batch of an earlier epoch than the one before it does not belong to the run', () => {
  const runOf = (...epochs: number[]) => findRun([{ number: 1, batches: chainIn(...epochs) }]).run;
  expect(runOf(1, 1, 2)).toMatchObject({ ordinal: 3, epoch: 2 });
  expect(runOf(1, 2, 1)).toMatchObject({ ordinal: 2, sequence: 2, epoch: 2, block: 3, crc: 2 });
});

test('a journal without its beginning names what is there, and no segment that may never have been needed', () => {
  const found = [5, 4].map((number) => ({ number, batches: [] }));
  expect(() => recoverRun(found, {})).toThrow(/its beginning is missing\. The first segment that is there is 4,/);
  expect(() => recoverRun([], {})).toThrow(/its beginning is missing\. There is no segment\./);
});
