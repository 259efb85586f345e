import { expect, test } from 'vitest';
import type { FoundBatch, FoundSegment } from '../../src/journal/recovery.ts';
import { wholeBatches } from '../../src/journal/whole-batches.ts';

/** A chain of batches in one segment, each of one block; `synced` as each states it. */
function segment(kinds: readonly FoundBatch['kind'][], synced: (ordinal: number) => number): FoundSegment {
  let [sequence, recordsChain] = [0, 0];
  const batches = kinds.map((kind, at): FoundBatch => {
    const ordinal = at + 1;
    const batch = {
      kind,
      epoch: 1,
      ordinal,
      synced: synced(ordinal),
      chain: at,
      recordsChain,
      records: 1,
      bodyBytes: 0,
    };
    if (kind === 'records') [sequence, recordsChain] = [sequence + 1, ordinal];
    return { ...batch, sequence, pointer: undefined, writtenAtMs: 0, crc: ordinal, block: ordinal, blocks: 1 };
  });
  return { number: 1, batches };
}
const without = ({ number, batches }: FoundSegment, ...ordinals: number[]): FoundSegment[] => [
  { number, batches: batches.filter(({ ordinal }) => !ordinals.includes(ordinal)) },
];
const ordinals = (found: ReturnType<typeof wholeBatches>): number[] => found.batches.map(({ batch }) => batch.ordinal);

const records = Array.from({ length: 6 }, () => 'records' as const);

test('a whole run is all of it', () => {
  const found = wholeBatches(without(segment(records, (ordinal) => ordinal - 1)), { sequence: 6, crc: 6 });
  expect([ordinals(found), found.gaps]).toEqual([[1, 2, 3, 4, 5, 6], []]);
});

test('behind a break that nothing calls synced there is only a torn tail', () => {
  const found = wholeBatches(
    without(
      segment(records, () => 2),
      4,
    ),
    undefined,
  );
  expect([ordinals(found), found.gaps]).toEqual([[1, 2, 3], []]);
});

test('behind the last batch that the book has taken in there is only a torn tail', () => {
  const torn = without(
    segment(records, () => 2),
    4,
  );
  const found = wholeBatches(torn, { sequence: 3, crc: 3 });
  expect([ordinals(found), found.gaps]).toEqual([[1, 2, 3], []]);
});

test('a break that a later batch calls synced is a gap, and so is one that the book calls so', () => {
  const later = wholeBatches(
    without(
      segment(records, () => 4),
      4,
    ),
    undefined,
  );
  expect([ordinals(later), later.gaps]).toEqual([[1, 2, 3, 5, 6], [{ after: 3, last: 4, before: 5 }]]);
  const book = wholeBatches(
    without(
      segment(records, () => 2),
      3,
      4,
    ),
    { sequence: 5, crc: 5 },
  );
  expect([ordinals(book), book.gaps]).toEqual([[1, 2, 5, 6], [{ after: 2, last: 4, before: 5 }]]);
});

test('what the journal writes for itself may be missing without a gap', () => {
  const one = segment(['records', 'seal', 'records'], (ordinal) => ordinal - 1);
  const found = wholeBatches(without(one, 2), undefined);
  expect([ordinals(found), found.gaps]).toEqual([[1, 3], []]);
});

test('the beginning, and the end', () => {
  const one = segment(records, (ordinal) => ordinal - 1);
  expect(wholeBatches(without(one, 1, 2), undefined).gaps).toEqual([{ after: 0, last: 2, before: 3 }]);
  expect(wholeBatches(without(one, 5, 6), { sequence: 6, crc: 6 }).gaps).toEqual([
    { after: 4, last: 6, before: undefined },
  ]);
  expect(wholeBatches(without(one, 1, 2, 3, 4, 5, 6), { sequence: 6, crc: 6 }).gaps).toEqual([
    { after: undefined, last: 6, before: undefined },
  ]);
});

test('of a batch that was written twice the later epoch counts', () => {
  const one = segment(records, (ordinal) => ordinal - 1);
  const old = { ...one.batches[3]!, epoch: 0, crc: 77 };
  const found = wholeBatches([one, { number: 2, batches: [old] }], undefined);
  expect([ordinals(found), found.gaps]).toEqual([[1, 2, 3, 4, 5, 6], []]);
});

test('whatever is missing, no batch is told twice, and none that is there', () => {
  const kinds = ['records', 'seal', 'records', 'seal', 'seal', 'records', 'records', 'seal'] as const;
  const all = segment(kinds, (ordinal) => ordinal);
  for (let some = 0; some < 2 ** kinds.length; some++) {
    const missing = all.batches.filter((_, at) => (some >> at) & 1);
    const there = new Set(all.batches.filter((batch) => !missing.includes(batch)));
    for (const book of [undefined, { sequence: 4, crc: 7 }]) {
      const { gaps } = wholeBatches(without(all, ...missing.map(({ ordinal }) => ordinal)), book);
      const told = gaps.flatMap(({ after = 0, last }) =>
        Array.from({ length: last - after }, (_, at) => after + 1 + at),
      );
      const kept = [...there].flatMap(({ kind, sequence }) => (kind === 'records' ? [sequence] : []));
      expect(told, `${some}`).toEqual([...new Set(told)]);
      expect(
        told.filter((sequence) => kept.includes(sequence)),
        `${some}`,
      ).toEqual([]);
      if (book !== undefined) expect([...told, ...kept].sort(), `${some}`).toEqual([1, 2, 3, 4]);
    }
  }
});
