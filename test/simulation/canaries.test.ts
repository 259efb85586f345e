import { expect, test } from 'vitest';
import { checkBackoffs } from './backoff-check.ts';
import type { Backoff } from './behaviour.ts';
import { live } from './life.ts';
import type { Plant } from './plant.ts';
import { plants } from './plants.ts';

/** A planted bug that lives so long shows that the simulator has gone blind. */
const seedsMax = 400;

test.each(Object.entries(plants))('%s: found', { timeout: 300_000 }, async (_name, plant) => {
  expect(await seedThatFinds(plant)).toBeLessThanOrEqual(seedsMax);
});

async function seedThatFinds(plant: Plant): Promise<number> {
  const backoffs: Backoff[] = [];
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      backoffs.push(...(await live(seed, plant)).backoffs);
      checkBackoffs(backoffs);
    } catch {
      return seed;
    }
  }
  return Number.POSITIVE_INFINITY;
}
