import { describe, expect, test } from 'vitest';
import { StoreHistory, type StoreHistoryOptions } from './history.ts';

const histories = Number(process.env.DEYE_HISTORIES ?? 300);

async function campaign(options: StoreHistoryOptions, count = histories) {
  const totals = { starts: 0, commits: 0, reads: 0, purged: 0, trimmed: 0, released: 0, checkpoints: 0 };
  for (let seed = 1; seed <= count; seed++) {
    const result = await new StoreHistory(seed, options).run().catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result[key];
  }
  return totals;
}

describe('a store whose process and machine die', () => {
  test('keeps what it answered, invents nothing, and shows what is so', async () => {
    const totals = await campaign({});
    // The histories do what they are for.
    expect(totals.starts).toBeGreaterThan(histories * 3);
    expect(totals.commits).toBeGreaterThan(histories * 20);
    expect(totals.reads).toBeGreaterThan(histories * 3);
    expect(totals.purged).toBeGreaterThan(histories / 2);
    expect(totals.trimmed).toBeGreaterThan(histories / 2);
    expect(totals.released).toBeGreaterThan(histories * 3);
    expect(totals.checkpoints).toBeGreaterThan(histories * 3);
  });
});
