/** A payload that changes on the disk while the broker runs: it is never handed out, and nothing else suffers. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { until } from '../until.ts';
import { harness } from './harness.ts';

/** Flips a bit in the middle of a run of such bytes. */
function flip(directory: string, byte: number): void {
  for (const name of readdirSync(join(directory, 'journal'))) {
    const path = join(directory, 'journal', name);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(Buffer.alloc(500, byte));
    if (at === -1) continue;
    bytes[at + 250]! ^= 1;
    writeFileSync(path, bytes);
    return;
  }
  throw new Error('the payload is not there');
}

test('its task is a dead letter that says so, is never handed out, and the place is named at the next start', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'deye-damaged-'));
  const limits = { memoryPayloadBytesMax: 100 };
  const ids: string[] = [];
  {
    await using broker = await harness(limits, { store: journalStoreIn(directory) });
    const raw = await broker.session();
    for (const byte of [1, 2, 3])
      ids.push((await raw.request('task.submit', { operation: 'work', payload: Buffer.alloc(600, byte) })).id);
    flip(directory, 2);
    const collector = await broker.session('collector');
    await collector.register('w', { max_concurrent_tasks: 9 });
    const assigned = [await collector.message(), await collector.message()];
    expect(assigned.map((one) => (one as { task_id: string }).task_id)).toEqual([ids[0], ids[2]]);
    const show = () => raw.request('task.show', { id: ids[1]! });
    await until(async () => (await show()).state === 'dead_letter', 'it is a dead letter');
    expect(await show()).toMatchObject({
      attempts: [
        {
          attempt: 1,
          outcome: 'gave_up',
          error: { code: 'body_damaged', message: expect.stringMatching(/damaged on the disk/) },
        },
      ],
    });
  }
  // The segment that has the flipped bit is kept still: the next start names it.
  await expect(harness(limits, { store: journalStoreIn(directory) })).rejects.toMatchObject({
    code: 'store_corrupt',
    message: expect.stringMatching(/damaged behind batch/),
  });
  rmSync(directory, { recursive: true });
});
