/** Which changes of the wall clock count as a jump. */
import { expect, test } from 'vitest';
import { ClockWatch } from '../../src/broker/clock-watch.ts';

/** The jumps that are noticed when the wall clock gains so many ms in each of these seconds. */
function jumps(gains: readonly number[]): [byMs: number, wallMs: number][] {
  const noticed: [number, number][] = [];
  let [monotonicMs, wallMs] = [500, 1_800_000_000_000];
  const start = wallMs;
  const watch = new ClockWatch({ monotonicMs, wallMs }, (jump) => noticed.push([jump.byMs, jump.wallMs - start]));
  for (const gain of gains) {
    monotonicMs += 1000;
    wallMs += 1000 + gain;
    watch.look({ monotonicMs, wallMs });
  }
  return noticed;
}

test('forwards or backwards by a second and more, each once', () => {
  expect(jumps([0, 1000, 0, -5000, 0])).toEqual([
    [1000, 3000],
    [-5000, 0],
  ]);
  expect(jumps([999, -999])).toEqual([]);
});

test('drift is none, however much it adds up to', () => {
  expect(jumps(Array(100).fill(300))).toEqual([]);
  expect(jumps([...Array<number>(100).fill(300), 2000])).toEqual([[2000, 133_000]]);
});
