/** Payloads that are on the disk are read whatever the journal does with them meanwhile. */
import { mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { segmentName } from '../../src/journal/scan.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import type { JournalStore } from '../../src/store/journal-store.ts';
import { journalIn } from '../../src/store/layout.ts';
import { moved, submitted } from '../conformance/records.ts';
import { dice } from '../journal/history.ts';
import { BookTwin } from '../twins/book.ts';
import { DiskTwin } from '../twins/disk.ts';
import { contentOf, idOf, Scratch } from './fixture.ts';
import { smallSizes, storeOn, turn } from './twin-store.ts';

const segmentBytes = 12 * 4096;
const old = Array.from({ length: 20 }, (_, at) => at + 1);
const payloadOf = (seq: number): Uint8Array => new Uint8Array(300).fill(seq);

/** With no payload in memory, and a journal that is written again all the time. */
async function rewritingStore(): Promise<JournalStore> {
  const { store } = storeOn(new DiskTwin(), new BookTwin(), {
    segmentBytes,
    sizes: { ...smallSizes(segmentBytes), idleBytes: 0 },
    chance: dice(1),
    tick: () => {},
    book: { wait: () => Promise.resolve(), isFull: () => false },
    later: () => {},
    cut: () => {},
  });
  await store.load({ wallMs: 2_000_000_000_000, idsAheadMax: 100, payloadsBytesMax: 0 });
  for (const seq of old) await store.commit([submitted(seq, `t${seq}`, { payload: payloadOf(seq) })]);
  return store;
}

const filler = (seq: number) => [
  submitted(seq, `t${seq}`, { payload: new Uint8Array(3000).fill(seq) }),
  moved(seq, 'in_progress', { collectorId: 'c' }),
  moved(seq, 'completed'),
];

test('while the batch that writes them again is in flight', async () => {
  const store = await rewritingStore();
  for (let seq = 21; seq <= 120; seq++) {
    const committed = store.commit(filler(seq));
    const read = await Promise.all(old.map((one) => store.payload(`t${one}`)));
    expect(read).toEqual(old.map(payloadOf));
    await committed;
    await turn();
  }
});

test('of a task that ends while the batch that wrote it again is in flight', async () => {
  const store = await rewritingStore();
  for (let seq = 21; seq <= 40 + old.length; seq++) {
    const ending = old[seq - 41];
    const committed = [store.commit(filler(seq))];
    if (ending !== undefined)
      committed.push(store.commit([moved(ending, 'in_progress', { collectorId: 'c' }), moved(ending, 'completed')]));
    for (const one of old) expect((await store.show(`t${one}`))!.spec.payload).toEqual(payloadOf(one));
    await Promise.all(committed);
    await turn();
  }
  for (const one of old) expect((await store.show(`t${one}`))!.spec.payload).toEqual(payloadOf(one));
});

test('that are gone with a cut file: what is written back says so, and their tasks are dead letters', async () => {
  using scratch = new Scratch();
  const directory = scratch.path();
  mkdirSync(directory, { mode: 0o700 });
  const store = journalStoreIn(directory);
  await store.load({ wallMs: 1, idsAheadMax: 100, payloadsBytesMax: 0 });
  for (const seq of old) await store.commit([submitted(seq, idOf(seq), { payload: payloadOf(seq) })]);
  truncateSync(join(journalIn(directory), segmentName(1)), 6 * 4096); // head, counter, and the first four tasks
  const lost = await store.check().catch((error: Error) => error.message);
  expect(lost).toMatch(/was cut while it was open\. Everything acknowledged, but for the payloads of (\d+) tasks that/);
  await store.close().catch(() => {});
  const count = Number(/of (\d+) tasks/.exec(String(lost))![1]);
  const [tasks] = await contentOf(directory);
  const dead = tasks.filter(({ state }) => state === 'dead_letter');
  expect([tasks.length, dead.length]).toEqual([old.length, count]);
  expect(count).toBeGreaterThan(10);
  expect(dead[0]!.error).toMatchObject({ code: 'body_damaged' });
});
