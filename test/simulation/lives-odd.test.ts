import { test } from 'vitest';
import { liveAll } from './lives.ts';

test('every other second life keeps every promise', { timeout: 7_200_000 }, async () => {
  await liveAll(1, 2);
});
