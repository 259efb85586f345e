import { describe, expect, test } from 'vitest';
import { StoreHistory, type StoreHistoryOptions } from './history.ts';

const histories = Number(process.env.DEYE_HISTORIES ?? 400);

async function campaign(options: StoreHistoryOptions, count: number) {
  const none = { starts: 0, commits: 0, reads: 0, purged: 0, trimmed: 0 };
  const totals = { ...none, released: 0, checkpoints: 0, full: 0, lost: 0 };
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
    const totals = await campaign({}, histories);
    // The histories do what they are for.
    expect(totals.starts).toBeGreaterThan(histories * 3);
    expect(totals.commits).toBeGreaterThan(histories * 20);
    expect(totals.lost).toBe(0);
    expect(totals.reads).toBeGreaterThan(histories * 3);
    expect(totals.purged).toBeGreaterThan(histories / 2);
    expect(totals.trimmed).toBeGreaterThan(histories / 2);
    expect(totals.released).toBeGreaterThan(histories * 3);
    expect(totals.checkpoints).toBeGreaterThan(histories * 3);
  });

  test('does so over long lives, too', async () => {
    const count = Math.ceil(histories / 10);
    const totals = await campaign({ steps: 400, deathRate: 0.0003 }, count);
    expect(totals.released).toBeGreaterThan(count * 100);
  });

  test('does so when the disk is full and the book meets that first', async () => {
    const count = Math.ceil(histories / 4);
    const totals = await campaign({ fullBook: true }, count);
    expect(totals.full).toBeGreaterThan(count / 4);
  });

  test('loses what was not synced yet and nothing else, where commits are answered before that', async () => {
    const totals = await campaign({ sync: 100 }, histories);
    expect(totals.lost).toBeGreaterThan(histories / 2);
    expect(totals.purged).toBeGreaterThan(histories / 2);
    expect(totals.released).toBeGreaterThan(histories);
    expect(totals.checkpoints).toBeGreaterThan(histories);
  });
});
