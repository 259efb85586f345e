/** A payload that changes on the disk while the broker runs: it is never handed out, and nothing else suffers. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { verifyStore } from '../../src/archive/verify.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { until } from '../until.ts';
import { type Harness, harness, type Raw } from './harness.ts';

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

describe('damage that is found by', () => {
  const directory = mkdtempSync(join(tmpdir(), 'deye-damaged-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  let made = 0;

  /** Tasks whose payloads are on the disk only; the second one's is damaged. */
  async function withDamage(before: (broker: Harness) => Promise<void> = async () => {}) {
    const state = join(directory, String(++made));
    const store = journalStoreIn(state);
    const broker = await harness({ memoryPayloadBytesMax: 100 }, { store });
    const raw = await broker.session();
    const ids: string[] = [];
    for (const byte of [1, 2, 3])
      ids.push((await raw.request('task.submit', { operation: 'work', payload: Buffer.alloc(600, byte) })).id);
    await before(broker);
    flip(state, 2);
    return {
      broker,
      state,
      store,
      raw,
      id: ids[1]!,
      show: () => raw.request('task.show', { id: ids[1]!, include: ['payload'] }),
    };
  }

  test('a look at a task that waits: it is a dead letter, and the broker goes on', async () => {
    const { broker, raw, show } = await withDamage();
    await show();
    await until(async () => (await show()).state === 'dead_letter', 'it is a dead letter');
    expect(await show()).toMatchObject({ error: { code: 'body_damaged' }, trimmed: true });
    expect((await show()).payload).toBeUndefined();
    expect(await raw.request('broker.health', {})).toMatchObject({ status: 'healthy' });
    await broker[Symbol.asyncDispose]();
  });

  test('compacting: the same, and the damage is gone: the store can be backed up, and started again', async () => {
    const { broker, raw, store, show, state } = await withDamage();
    await store.compact({});
    expect(await show()).toMatchObject({ state: 'dead_letter', error: { code: 'body_damaged' } });
    expect((await raw.request('broker.snapshot', {})).waiting).toBe(2);
    await store.backup(`${state}.backup`, { version: '1.2.3', wallMs: 1 });
    await broker[Symbol.asyncDispose]();
    expect((await verifyStore(state, { isMoving: false })).findings).toEqual([]);
  });

  test('a look at a task that waits for a retry: it is a dead letter', async () => {
    const { broker, show } = await withDamage(async ({ session }) => {
      const collector = await session('collector');
      await collector.register('w', { max_concurrent_tasks: 9 });
      for (let count = 0; count < 3; count++) {
        const { task_id, token } = (await collector.message()) as { task_id: string; token: string };
        await collector.request('task.fail', {
          task_id,
          token,
          error: { code: 'x', message: 'y' },
          retry_after_ms: 60_000,
        });
      }
    });
    expect((await show()).state).toBe('retrying');
    await until(async () => (await show()).state === 'dead_letter', 'it is a dead letter');
    await broker[Symbol.asyncDispose]();
  });

  test('a look at a running task: it runs on, its result counts, and its payload is said to be gone', async () => {
    const attempts: { readonly task_id: string; readonly token: string }[] = [];
    let collector!: Raw;
    const { broker, raw, id, show } = await withDamage(async ({ session }) => {
      collector = await session('collector');
      await collector.register('w', { max_concurrent_tasks: 9 });
      for (let count = 0; count < 3; count++) attempts.push((await collector.message()) as (typeof attempts)[number]);
    });
    expect(await show()).toMatchObject({ state: 'in_progress' });
    const { task_id, token } = attempts.find((one) => one.task_id === id)!;
    await collector.request('task.complete', { task_id, token, result: 'good' });
    expect(await show()).toMatchObject({ state: 'completed', trimmed: true });
    expect((await raw.request('task.show', { id, include: ['result'] })).result).toBe('good');
    await broker[Symbol.asyncDispose]();
  });
});
