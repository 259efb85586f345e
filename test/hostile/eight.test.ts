/** Eight clients of every hostile kind beside a good one: its submits are all answered, and memory stays bounded. */
import { expect, test } from 'vitest';
import { measure } from './scene.ts';

test('eight hostile observers, and 1,000 submits a second', { timeout: 180_000 }, async () => {
  const { submitted, answered, rssMaxBytes, dropped } = await measure({ seconds: 12, hostile: true });
  expect(submitted).toBe(12_000);
  expect(answered).toBe(submitted);
  expect(dropped).toBeGreaterThan(0); // the deaf subscription is over its limit
  expect(rssMaxBytes).toBeLessThan(300_000_000);
});
