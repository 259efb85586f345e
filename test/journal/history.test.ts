import { describe, expect, test } from 'vitest';
import { History, type HistoryOptions } from './history.ts';

const histories = Number(process.env.DEYE_HISTORIES ?? 300);

async function campaign(options: HistoryOptions, firstSeed = 1) {
  const totals = { starts: 0, acknowledged: 0, released: 0, cuts: 0, refused: 0 };
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const result = await new History(seed, options).run().catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
    totals.starts += result.starts;
    totals.acknowledged += result.acknowledged;
    totals.released += result.released;
    totals.refused += result.refused === undefined ? 0 : 1;
    totals.cuts += result.trace.filter((line) => line.startsWith('cut')).length;
  }
  return totals;
}

describe('a journal on a disk that dies', () => {
  test('keeps what was acknowledged', async () => {
    const totals = await campaign({});
    // The histories do what they are for.
    expect(totals.starts).toBeGreaterThan(histories * 4);
    expect(totals.released).toBeGreaterThan(histories * 4);
    expect(totals.cuts).toBeGreaterThan(histories / 20);
  });

  test('also when what is kept ready is given back', async () => {
    await campaign({ trims: true });
    await campaign({ trims: true, capacity: 14 * 8 * 4096 });
    await campaign({ trims: true, sync: 100 });
  });

  test('with a sync every 100 ms loses what was not synced at most', async () => {
    await campaign({ sync: 100 });
  });

  test('notices a flipped bit, or loses nothing by it', async () => {
    const totals = await campaign({ flips: true });
    expect(totals.refused).toBeGreaterThan(histories / 4);
  });

  test('on a disk that is full accepts nothing that it cannot keep', async () => {
    await campaign({ capacity: 14 * 8 * 4096 });
  });
});
