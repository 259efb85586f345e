import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deadlines, type Due } from '../../src/time/deadlines.ts';

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
