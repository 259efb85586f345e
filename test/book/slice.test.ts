import { expect, test } from 'vitest';
import { Slice } from '../../src/book/slice.ts';

const sizes = (slice: Slice, msEach: number, count: number): number[] =>
  Array.from({ length: count }, () => {
    slice.took(slice.size, slice.size * msEach);
    return slice.size;
  });

test('begins small, and grows by half at most until a slice takes 5 ms', () => {
  const slice = new Slice(100, 10_000);
  expect(slice.size).toBe(100);
  expect(sizes(slice, 0.01, 7)).toEqual([150, 225, 337, 500, 500, 500, 500]);
});

test('falls at once, to its least at most, and grows to its most at most', () => {
  const slice = new Slice(100, 300);
  sizes(slice, 0.001, 20);
  expect(slice.size).toBe(300);
  slice.took(300, 7.5);
  expect(slice.size).toBe(200);
  slice.took(200, 5000);
  expect(slice.size).toBe(100);
  slice.took(100, 0); // too short to be measured
  expect(slice.size).toBe(150);
});

test('a small slice makes it smaller, never larger', () => {
  const slice = new Slice(10, 10_000);
  sizes(slice, 0.01, 20);
  expect(slice.size).toBe(500);
  slice.took(249, 0.1);
  expect(slice.size).toBe(500);
  slice.took(250, 0.1);
  expect(slice.size).toBe(750);
  slice.took(100, 10);
  expect(slice.size).toBe(50);
});
