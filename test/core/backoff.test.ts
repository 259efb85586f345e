import { describe, expect, test } from 'vitest';
import { backoffMs, nextRandom } from '../../src/core/random.ts';
import { specOf, TestCore } from './harness.ts';

const [baseMs, capMs] = [1000, 16_000];
const seeds = Array.from({ length: 2000 }, (_, at) => at + 1);
/** Draws of the span before the retry that follows this attempt, one per seed. */
const drawn = (attempt: number): number[] => seeds.map((seed) => backoffMs({ seed }, attempt, baseMs, capMs));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('backoffMs', () => {
  // 2,000 seeds: the mean of a uniform draw is within 5 % of the middle (four standard errors), for good.
  test.each([
    [1, 1000],
    [2, 2000],
    [3, 4000],
    [4, 8000],
    [5, 16_000],
    [6, 16_000],
    [7, 16_000],
    [100, 16_000],
  ])('after attempt %i it is anything from 0 to %i ms, evenly', (attempt, bound) => {
    const spans = drawn(attempt);
    expect(Math.min(...spans)).toBeGreaterThanOrEqual(0);
    expect(Math.min(...spans)).toBeLessThan(bound * 0.01);
    expect(Math.max(...spans)).toBeLessThanOrEqual(bound);
    expect(Math.max(...spans)).toBeGreaterThan(bound * 0.99);
    expect(Math.abs(mean(spans) / (bound / 2) - 1)).toBeLessThan(0.05);
    for (let part = 0; part < 10; part++) {
      const within = spans.filter((span) => span >= (part * bound) / 10 && span < ((part + 1) * bound) / 10).length;
      expect(within).toBeGreaterThan(140);
      expect(within).toBeLessThan(260);
    }
  });

  test('its mean doubles from attempt to attempt until the cap, and stays there', () => {
    const means = [1, 2, 3, 4, 5, 6, 7].map((attempt) => mean(drawn(attempt)));
    const growth = means.slice(1).map((value, at) => value / means[at]!);
    for (const factor of growth.slice(0, 4)) expect(Math.abs(factor - 2)).toBeLessThan(0.1);
    for (const factor of growth.slice(4)) expect(Math.abs(factor - 1)).toBeLessThan(0.05);
  });

  test('whole ms; none of nothing; a cap below the base is kept', () => {
    for (const span of drawn(3)) expect(span).toBe(Math.round(span));
    expect(backoffMs({ seed: 1 }, 5, 0, capMs)).toBe(0);
    for (const seed of seeds) expect(backoffMs({ seed }, 1, 5000, 10)).toBeLessThanOrEqual(10);
  });
});

test('the core takes the span from the number of the attempt, and from the limits of the task', () => {
  const spans = new Map<number, number[]>();
  for (let seed = 1; seed <= 300; seed++) {
    const core = new TestCore({ seed, leaseMs: 10_000_000, heartbeatMs: 10_000_000 });
    core.join('A');
    core.submit(specOf('t1', { maxRetries: 6, backoffBaseMs: 1000, backoffCapMs: 4000 }));
    for (let attempt = 1; attempt <= 6; attempt++) {
      core.fail('t1');
      const { life } = core.task('t1');
      // A span of 0 ms is over in the same step.
      const delayMs = life.state === 'retrying' ? life.delayMs : 0;
      spans.set(attempt, [...(spans.get(attempt) ?? []), delayMs]);
      if (life.state === 'retrying') expect(core.task('t1').dueMs).toBe(core.nowMs + delayMs);
      core.until(core.nowMs + delayMs);
    }
  }
  for (const [attempt, bound] of [1000, 2000, 4000, 4000, 4000, 4000].entries()) {
    const of = spans.get(attempt + 1)!;
    expect(Math.max(...of)).toBeLessThanOrEqual(bound);
    expect(Math.max(...of)).toBeGreaterThan(bound * 0.95);
    expect(Math.abs(mean(of) / (bound / 2) - 1)).toBeLessThan(0.15);
  }
});

test('the generator: the same numbers for the same seed, in [0, 1), evenly', () => {
  const draw = (seed: number, count: number): number[] => {
    const random = { seed };
    return Array.from({ length: count }, () => nextRandom(random));
  };
  // Known answers, so that a seed of an old failure still means the same.
  expect(draw(1, 3).map((value) => Math.floor(value * 2 ** 32))).toEqual([2693262067, 11749833, 2265367787]);
  expect(draw(1, 100)).toEqual(draw(1, 100));
  const values = draw(7, 10_000);
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...values)).toBeLessThan(1);
  expect(Math.abs(mean(values) - 0.5)).toBeLessThan(0.02);
  expect(new Set(values).size).toBeGreaterThan(9990);
});
