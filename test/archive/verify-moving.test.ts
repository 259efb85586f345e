/** Verify beside a broker that writes looks again at what looks wrong. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verifyStore } from '../../src/archive/verify.ts';
import { blockBytes } from '../../src/journal/header.ts';
import { segmentName } from '../../src/journal/scan.ts';
import { damage, filled, Scratch } from '../store/fixture.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

/** A store with a batch that is damaged until so many looks have read the journal; and how many looks there were. */
async function looksAt(lookHealed: number): Promise<{ isWhole: boolean; looks: number }> {
  const directory = scratch.path();
  mkdirSync(directory);
  await (await filled(directory)).close();
  const path = join(directory, 'journal', segmentName(2));
  const at = 2 * blockBytes + 64;
  const sound = readFileSync(path).subarray(at, at + 1);
  damage(path, at, Uint8Array.of(sound[0]! ^ 4));
  let looks = 0;
  const progress = (what: string, done: number): void => {
    if (what === 'reading the book' && done === 0 && ++looks === lookHealed) damage(path, at, sound);
  };
  const found = await verifyStore(directory, { isMoving: true, progress });
  return { isWhole: found.is_whole, looks };
}

test('what was wrong at the first and the second look, and is not at the third, is no damage', async () => {
  expect(await looksAt(1)).toEqual({ isWhole: true, looks: 2 });
  expect(await looksAt(2)).toEqual({ isWhole: true, looks: 3 });
});

test('what is wrong at the third look, too, is damage', async () => {
  expect(await looksAt(3)).toEqual({ isWhole: false, looks: 3 });
});
