import { expect, test } from 'vitest';
import { live } from './life.ts';
import { firstSeed, liveAll } from './lives.ts';

test('every second life keeps every promise', { timeout: 7_200_000 }, async () => {
  await liveAll(0, 2);
});

test('the same seed gives the same trace', async () => {
  for (let seed = firstSeed; seed < firstSeed + 20; seed++) expect(await live(seed)).toEqual(await live(seed));
  expect((await live(1)).hash).not.toBe((await live(2)).hash);
});
