import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deadlines, type Due } from '../../src/time/deadlines.ts';

interface Named extends Due {
  readonly name: string;
}
const due = (name: string): Named => ({ name, dueMs: 0, dueIndex: -1 });

test('nothing is due before its moment, and all that is due comes, the earliest first', () => {
  const deadlines = new Deadlines<Named>();
  expect([deadlines.size, deadlines.nextMs, deadlines.popDue(1e9)]).toEqual([0, Number.POSITIVE_INFINITY, undefined]);
  const [a, b, c] = [due('a'), due('b'), due('c')];
  deadlines.set(a, 10.5);
  deadlines.set(b, 5);
  deadlines.set(c, 20);
  expect([deadlines.size, deadlines.nextMs]).toEqual([3, 5]);
  expect(deadlines.popDue(4.999)).toBeUndefined();
  expect(deadlines.popDue(5)).toBe(b);
  expect(b).toMatchObject({ dueMs: 5, dueIndex: -1 });
  expect([deadlines.popDue(15), deadlines.popDue(15), deadlines.nextMs]).toEqual([a, undefined, 20]);
});

test('a deadline that is set again is moved; one that is deleted never comes; twice is no harm', () => {
  const deadlines = new Deadlines<Named>();
  const [a, b] = [due('a'), due('b')];
  deadlines.set(a, 10);
  deadlines.set(b, 20);
  deadlines.set(a, 30);
  expect([deadlines.size, deadlines.nextMs]).toEqual([2, 20]);
  deadlines.delete(b);
  deadlines.delete(b);
  expect([deadlines.size, deadlines.nextMs, deadlines.popDue(29)]).toEqual([1, 30, undefined]);
  expect(deadlines.popDue(30)).toBe(a);
  expect(deadlines.size).toBe(0);
});

test('takes things in the order they are due, whatever was moved or removed', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(1000), fc.boolean()), { maxLength: 200 }), (steps) => {
      const heap = new Deadlines<Due & { id: number }>();
      const items = Array.from({ length: 21 }, (_, id) => ({ id, dueMs: 0, dueIndex: -1 }));
      const expected = new Map<number, number>();
      for (const [id, dueMs, remove] of steps) {
        if (remove) {
          heap.delete(items[id]!);
          expected.delete(id);
        } else {
          heap.set(items[id]!, dueMs);
          expected.set(id, dueMs);
        }
        expect(heap.nextMs).toBe(Math.min(Number.POSITIVE_INFINITY, ...expected.values()));
      }
      const taken: number[] = [];
      for (let due = heap.popDue(1000); due !== undefined; due = heap.popDue(1000)) taken.push(due.dueMs);
      expect(taken).toEqual([...expected.values()].sort((a, b) => a - b));
    }),
  );
});
