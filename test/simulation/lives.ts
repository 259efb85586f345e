/** Many lives, shared between test files so that they run beside each other. */
import { expect } from 'vitest';
import { checkBackoffs } from './backoff-check.ts';
import type { Backoff } from './behaviour.ts';
import { live } from './life.ts';
import { addWork, noWork, type WorkCounts, workPer1000Tasks } from './work.ts';

const lives = Number(process.env.DEYE_LIVES ?? 3000);
export const firstSeed = Number(process.env.DEYE_SEED ?? 1);

/** Lives the seeds of one part of `parts`; what they did together. */
export async function liveAll(part: number, parts: number): Promise<WorkCounts> {
  const backoffs: Backoff[] = [];
  let work = noWork;
  let accepted = 0;
  let starts = 0;
  let count = 0;
  for (let seed = firstSeed + part; seed < firstSeed + lives; seed += parts) {
    const life = await live(seed);
    backoffs.push(...life.backoffs);
    work = addWork(work, life.work);
    accepted += life.accepted;
    starts += life.starts;
    count++;
  }
  checkBackoffs(backoffs);
  if (count >= 100) {
    // The lives are full of what they are to be full of.
    expect(accepted).toBeGreaterThan(count * 10);
    expect(starts).toBeGreaterThan(count * 2.5);
    expect(workPer1000Tasks(work).commits).toBeLessThan(4000);
  }
  return work;
}
