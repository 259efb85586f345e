import { expect, test } from 'vitest';
import { findsPlanted } from './planted.ts';
import { storePlants } from './plants.ts';

/** A mistake that lives so long shows that the histories have gone blind. */
const seedsMax = 2000;

test.concurrent.each(Object.entries(storePlants))('%s: found', { timeout: 120_000 }, async (_, plant) => {
  const found = await findsPlanted(plant, seedsMax);
  expect(found).toBeDefined();
});
