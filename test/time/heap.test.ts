import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heap, type HeapOrder } from '../../src/time/heap.ts';

interface Item {
  readonly id: number;
  key: number;
  index: number;
}

let compared = 0;
const order: HeapOrder<Item> = {
  before: (a, b) => {
    compared++;
    return a.key < b.key;
  },
  indexOf: ({ index }) => index,
  setIndex: (item, index) => {
    item.index = index;
  },
};

const heapOf = (...keys: number[]): { heap: Heap<Item>; items: Item[] } => {
  const heap = new Heap(order);
  const items = keys.map((key, id) => ({ id, key, index: -1 }));
  for (const item of items) heap.set(item);
  return { heap, items };
};
const drained = (heap: Heap<Item>): number[] => {
  const keys: number[] = [];
  for (let item = heap.pop(); item !== undefined; item = heap.pop()) keys.push(item.key);
  return keys;
};
/** Every item carries its place, and none goes before the one above it. */
function checkHeap(heap: Heap<Item>): void {
  const items = [...heap];
  expect(items.map(({ index }) => index)).toEqual(items.map((_, at) => at));
  for (const [at, item] of items.entries())
    if (at > 0) expect(item.key).toBeGreaterThanOrEqual(items[(at - 1) >> 1]!.key);
}

test('empty', () => {
  const { heap } = heapOf();
  expect([heap.size, heap.first, heap.pop(), [...heap]]).toEqual([0, undefined, undefined, []]);
});

test('holds what it was given, and nothing else', () => {
  const { heap, items } = heapOf(3, 1, 2);
  const other: Item = { id: 9, key: 1, index: -1 };
  expect(items.map((item) => heap.has(item))).toEqual([true, true, true]);
  expect(heap.has(other)).toBe(false);
  expect(heap.has({ ...items[1]! })).toBe(false);
  heap.delete(other);
  expect(heap.size).toBe(3);
  expect(heap.first).toBe(items[1]);
  expect(heap.pop()).toBe(items[1]);
  expect(heap.has(items[1]!)).toBe(false);
  expect(items[1]!.index).toBe(-1);
  heap.delete(items[1]!);
  expect(heap.size).toBe(2);
});

test('an item whose key changed finds its new place, up and down', () => {
  const { heap, items } = heapOf(10, 20, 30, 40, 50, 60, 70);
  items[6]!.key = 5;
  heap.set(items[6]!);
  expect(heap.first).toBe(items[6]);
  items[6]!.key = 45;
  heap.set(items[6]!);
  checkHeap(heap);
  expect(heap.size).toBe(7);
  expect(drained(heap)).toEqual([10, 20, 30, 40, 45, 50, 60]);
});

test('what takes the place of a deleted item may have to go up', () => {
  // The last item, 12, comes to the place of 30, below 20.
  const { heap, items } = heapOf(1, 20, 10, 30, 40, 11, 12);
  heap.delete(items[3]!);
  checkHeap(heap);
  expect(drained(heap)).toEqual([1, 10, 11, 12, 20, 40]);
});

test('whatever is set, moved and deleted, it comes out in order', () => {
  const step = fc.tuple(fc.constantFrom('set', 'set', 'delete', 'pop'), fc.nat(30), fc.nat(40));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const heap = new Heap(order);
      const items = Array.from({ length: 31 }, (_, id): Item => ({ id, key: 0, index: -1 }));
      const held = new Set<Item>();
      for (const [what, id, key] of steps) {
        const item = items[id]!;
        if (what === 'set') {
          item.key = key;
          heap.set(item);
          held.add(item);
        } else if (what === 'delete') {
          heap.delete(item);
          held.delete(item);
        } else {
          const least = Math.min(...[...held].map((one) => one.key));
          const popped = heap.pop();
          expect(popped?.key ?? Number.POSITIVE_INFINITY).toBe(least);
          if (popped !== undefined) expect(held.delete(popped)).toBe(true);
        }
        expect(heap.size).toBe(held.size);
        for (const one of items) expect(heap.has(one)).toBe(held.has(one));
        checkHeap(heap);
      }
      const left = [...held].map((one) => one.key).sort((a, b) => a - b);
      expect(drained(heap)).toEqual(left);
      expect(items.every(({ index }) => index === -1)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('one change costs no more comparisons than three for each level', () => {
  const { heap, items } = heapOf(...Array.from({ length: 4096 }, (_, at) => (at * 7919) % 4096));
  const cost = (change: () => void): number => {
    compared = 0;
    change();
    return compared;
  };
  for (const item of items.slice(0, 500)) {
    const key = item.key;
    for (const moved of [-1, 5000, key]) {
      item.key = moved;
      expect(cost(() => heap.set(item))).toBeLessThanOrEqual(3 * 13);
    }
    expect(cost(() => heap.delete(item))).toBeLessThanOrEqual(3 * 13);
    expect(cost(() => heap.set(item))).toBeLessThanOrEqual(3 * 13);
  }
  checkHeap(heap);
});
