/** Where what lives stands: the oldest is found, and what has ended is forgotten. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Living, type LivingKey } from '../../src/store/living.ts';

test('millions that end behind one that lives on leave nothing', () => {
  const living = new Living();
  living.written('counter', 1);
  let most = 0;
  for (let seq = 1; seq <= 200_000; seq++) {
    living.written(seq, seq);
    if (seq > 10) living.ended(seq - 10);
    most = Math.max(most, living.entries);
  }
  expect(most).toBeLessThan(1100);
  expect([living.size, living.oldest]).toEqual([11, { key: 'counter', batch: 1 }]);
});

test('one setting that is written again and again leaves one', () => {
  const living = new Living();
  for (let batch = 1; batch <= 10_000; batch++) living.written('setting x', batch);
  expect(living.entries).toBeLessThan(1100);
  expect(living.oldest).toEqual({ key: 'setting x', batch: 10_000 });
});

test('it says what a plain list would say', () => {
  const write = fc.record({ key: fc.integer({ min: 1, max: 3000 }), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(write, { minLength: 1500, maxLength: 6000 }), (writes) => {
      const living = new Living();
      const plain = new Map<LivingKey, number>();
      writes.forEach(({ key, ends }, batch) => {
        if (ends && plain.has(key)) {
          expect(living.ended(key)).toBe(plain.get(key));
          plain.delete(key);
        } else {
          living.written(key, batch);
          plain.set(key, batch);
        }
      });
      const inOrder = [...plain].sort(([, a], [, b]) => a - b);
      expect(living.oldest).toEqual(inOrder[0] && { key: inOrder[0][0], batch: inOrder[0][1] });
      const half = Math.floor(writes.length / 2);
      expect([...living.upTo(half)]).toEqual(inOrder.filter(([, batch]) => batch <= half).map(([key]) => key));
    }),
    { numRuns: 20 },
  );
});

test('what is written again while it is looked at is not looked at twice', () => {
  const living = new Living();
  for (let seq = 1; seq <= 2000; seq++) living.written(seq, seq);
  const seen: LivingKey[] = [];
  for (const key of living.upTo(2000)) {
    seen.push(key);
    living.written(key, 2001);
  }
  expect(seen).toHaveLength(2000);
  expect(new Set(seen).size).toBe(2000);
});
