/** Backoffs are drawn at random, so only many together show that they grow: each is an even part of the most it may be. */
import assert from 'node:assert/strict';
import type { Backoff } from './behaviour.ts';

const enough = 40;

export function checkBackoffs(backoffs: readonly Backoff[]): void {
  for (const attempt of [1, 2, 3, 4]) {
    const parts = backoffs.filter((one) => one.attempt === attempt).map(({ part }) => part);
    if (parts.length < enough) continue;
    const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
    // Of n even parts the mean is normal around ½ with a deviation of √(1/12n): five of them are never passed.
    const far = 5 * Math.sqrt(1 / 12 / parts.length);
    assert(
      Math.abs(mean - 0.5) < far,
      `the backoffs after attempt ${attempt} are ${mean.toFixed(3)} of the most they may be, not about half (${parts.length})`,
    );
  }
}
