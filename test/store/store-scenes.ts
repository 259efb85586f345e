/** Histories of a store without chance, each for one rule that random ones reach too rarely; each throws when it is broken. */
import assert from 'node:assert/strict';
import type { StoreRecord } from '../../src/core/record.ts';
import { moved, purge, submitted } from '../conformance/records.ts';
import { StoreBench, turn } from './twin-store.ts';

export const setting = (value: string): StoreRecord => ({ kind: 'setting', namespace: 'default', key: 'k', value });

/** Commits that fill the journal and leave nothing behind. */
export async function fill({ store }: StoreBench, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await store.commit([setting(`${at}`)]);
}

/** A process is killed with rows in the write-ahead file; the next one lets go of their batches, and the power fails. */
export async function unsavedBook(): Promise<void> {
  const bench = await new StoreBench({ checkpointBytes: 1e9 }).start();
  await bench.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
  await fill(bench, 40);
  bench.kill();
  await bench.start();
  await fill(bench, 40);
  assert(bench.journal.first > 1, 'nothing was let go');
  bench.cutPower();
  await bench.start();
  assert.equal((await bench.store.show('a'))?.state, 'completed');
}

/** A commit that waits for the book, and one that comes at any moment around the end of that. */
export async function lateBook(): Promise<void> {
  for (let delay = 0; delay < 12; delay++) {
    const bench = await new StoreBench({ backlogBytes: 1 }).start();
    bench.stall();
    await bench.store.commit([submitted(1, 'a'), submitted(2, 'b'), moved(1, 'completed')]);
    const commits = [bench.store.commit([moved(2, 'completed')])];
    await turn();
    bench.tick = (work) => {
      if (work !== 'book: applied') return;
      bench.tick = () => {};
      const later = (left: number): void => {
        if (left === 0) commits.push(bench.store.commit([setting('later')]));
        else queueMicrotask(() => later(left - 1));
      };
      later(delay);
    };
    await bench.letGo();
    assert.equal(commits.length, 2);
    await Promise.all(commits);
    assert.equal((await bench.store.show('b'))!.state, 'completed');
  }
}

/** Everything that was ever accepted is deleted, from the book and from the journal: no number is used again. */
export async function nothingLeft(): Promise<void> {
  const bench = await new StoreBench().start();
  await bench.store.commit([submitted(1, 'a'), submitted(2, 'b'), moved(1, 'completed'), moved(2, 'completed')]);
  const { tasks } = await purge(bench.store, { beforeMs: 1e13, deadLettersBeforeMs: 1e13 });
  assert.equal(tasks.length, 2);
  await fill(bench, 80);
  assert(bench.journal.first > 3, 'the journal still has what was deleted');
  bench.kill();
  await bench.start();
  assert.equal(bench.loaded.nextSeq, 3);
}

/** An attempt is in the book, the end of its task is on its way there, and the book saves before it enters that. */
export async function earlierAttempt(): Promise<void> {
  const bench = await new StoreBench({ checkpointBytes: 1 }).start();
  bench.stall();
  await bench.store.commit([submitted(1, 'a')]);
  const failed = { kind: 'attempt', seq: 1, attempt: 1, collectorId: 'c', startedAtMs: 1, endedAtMs: 2 } as const;
  await bench.store.commit([{ ...failed, outcome: 'failed', error: undefined }, moved(1, 'retrying')]);
  await bench.letGo(1); // the batch of the submit, of which the book gets nothing
  await bench.letGo(1); // its checkpoint; the batch of the attempt is next
  await bench.store.commit([moved(1, 'cancelled')]);
  await bench.letGo(1);
  const states = bench.store.states(['a']);
  await bench.letGo();
  assert.deepEqual(await states, new Map([['a', 'cancelled']]));
}
