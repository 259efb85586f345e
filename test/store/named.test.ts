/** Histories of a store that have a name: each was a mistake once, in the model or in the store, or is one that others made. */
import { describe, expect, test } from 'vitest';
import { Writer } from '../../src/core/bytes.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { blockBytes, headerBytes, readSegmentHead, writeHeader } from '../../src/journal/header.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import type { StoreError } from '../../src/store/port.ts';
import { deletionOf, expiryOf, moved, purge, submitted } from '../conformance/records.ts';
import { BookTwin } from '../twins/book.ts';
import { GoneError } from '../twins/disk.ts';
import { copiesOfTwoWays, namesOnAFullDisk, staleBatch } from './scenes.ts';
import { earlierAttempt, fill, lateBook, nothingLeft, setting, unsavedBook } from './store-scenes.ts';
import { StoreBench, turn } from './twin-store.ts';

const payload = (length: number) => ({ payload: new Uint8Array(length).fill(7) });

const refusal = (starting: Promise<unknown>): Promise<StoreError> =>
  starting.then(
    () => expect.unreachable('it starts'),
    (error: StoreError) => error,
  );

describe('space', () => {
  test('a segment is not released under a task whose end is not in the book yet', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a', payload(5000))]);
    await fill(bench, 3);
    bench.stall();
    await bench.store.commit([moved(1, 'completed', { result: Uint8Array.of(1) })]);
    await fill(bench, 60);
    expect(bench.journal.first).toBe(1);
    bench.cutPower();
    await bench.letGo();
    await bench.start();
    expect((await bench.store.show('a'))!.spec.payload.length).toBe(5000);
    await fill(bench, 40);
    expect(bench.journal.first).toBeGreaterThan(60);
  });

  test('a row that the book has and did not save yet holds the segment of its task', async () => {
    const bench = await new StoreBench({ checkpointBytes: 1e9 }).start();
    await bench.store.commit([submitted(1, 'a', payload(5000)), moved(1, 'completed')]);
    await fill(bench, 60);
    expect(bench.book.rows.tasks.size).toBe(1);
    expect(bench.journal.first).toBe(1);
    bench.cutPower();
    expect(bench.book.rows.tasks.size).toBe(0);
    await bench.start();
    expect((await bench.store.show('a'))!.state).toBe('completed');
  });

  test('a start saves what a killed process left in the write-ahead file, before it lets go of anything', unsavedBook);

  test('no number of a task is used again, when nothing is left of any', nothingLeft);

  test('what a commit writes again is in the journal before the old record is let go, with another commit before it', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a', payload(3000))]);
    await fill(bench, 30);
    // At every moment of two commits at once.
    for (let dies = 1, dead = false; ; dies++, dead = false) {
      let works = 0;
      bench.tick = () => {
        if (!dead && ++works < dies) return;
        dead = true;
        throw new GoneError();
      };
      const commits = [1, 2, 3].map((at) => bench.store.commit([setting(`${dies} ${at}`)]).catch(() => {}));
      await Promise.all(commits);
      await turn();
      bench.tick = () => {};
      bench.cutPower();
      await bench.start();
      expect(bench.loaded.tasks).toHaveLength(1);
      if (!dead) break;
    }
    expect(bench.journal.first).toBeGreaterThan(1);
  });

  test('commits of which the book gets nothing do not let the journal grow', async () => {
    const bench = await new StoreBench().start();
    await fill(bench, 400);
    expect(bench.journal.space.usedBytes).toBeLessThanOrEqual(4 * bench.segmentBytes);
  });

  test('tasks that only retry do not let it grow, and keep every attempt', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a', payload(2000))]);
    for (let attempt = 1; attempt <= 150; attempt++) {
      const ended = { kind: 'attempt', seq: 1, attempt, collectorId: 'c', startedAtMs: 1, endedAtMs: 2 } as const;
      await bench.store.commit([moved(1, 'in_progress', { attempt, collectorId: 'c' })]);
      await bench.store.commit([
        { ...ended, outcome: 'failed', error: { code: 'broken', message: 'it broke' } },
        moved(1, 'retrying', { attempt, readyAtMs: 5 }),
      ]);
    }
    expect(bench.journal.space.usedBytes).toBeLessThanOrEqual(4 * bench.segmentBytes);
    bench.cutPower();
    await bench.start();
    expect((await bench.store.show('a'))!.attempts).toHaveLength(150);
  });

  test('what is written again stays within a batch', async () => {
    const bench = await new StoreBench({ idleBytes: 0 }).start();
    const most = bench.journal.bodyBytesMax;
    for (let seq = 1; seq <= 4; seq++) await bench.store.commit([submitted(seq, `t${seq}`, payload(most * 0.6))]);
    await bench.store.commit([submitted(5, 't5', payload(most * 0.7))]);
    for (let seq = 1; seq <= 5; seq++) await bench.store.commit([moved(seq, 'cancelled')]);
    await fill(bench, 40);
    expect(bench.journal.space.usedBytes).toBeLessThanOrEqual(4 * bench.segmentBytes);
  });
});

describe('commits at once', () => {
  test('each is written with its own bytes', async () => {
    const bench = await new StoreBench().start();
    const bodies = [1, 2, 3].map((seq) => submitted(seq, `t${seq}`, { payload: new Uint8Array(100).fill(seq) }));
    await Promise.all(bodies.map((record) => bench.store.commit([record])));
    bench.cutPower();
    await bench.start();
    expect([...bench.loaded.tasks].map(({ spec }) => [...new Set(spec.payload as Uint8Array)])).toEqual([
      [1],
      [2],
      [3],
    ]);
  });

  test('a purge beside a commit takes nothing from it', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a'), moved(1, 'completed', { atMs: 5 })]);
    const purged = purge(bench.store, { beforeMs: 1000 });
    await turn();
    await bench.store.commit([submitted(2, 'b', payload(2000))]);
    expect((await purged).tasks).toEqual([1]);
    bench.cutPower();
    await bench.start();
    expect(await bench.store.states(['a', 'b'])).toEqual(new Map([['b', 'pending']]));
  });

  test('they stay in order behind a book that is late', lateBook);
});

describe('reads while rows move', () => {
  test('a task whose earlier attempt is in the book and whose end is not is still shown', earlierAttempt);

  test('a list shows tasks as they fitted it', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a')]);
    bench.stall();
    const all = { operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 10 };
    const pending = bench.store.list({ ...all, states: ['pending'] });
    await bench.store.commit([moved(1, 'in_progress', { collectorId: 'c' })]);
    await bench.letGo();
    expect((await pending).map(({ state }) => state)).toEqual(['pending']);
  });
});

describe('a start', () => {
  test('whose book cannot grow has everything, and so has the next one', async () => {
    const bench = await new StoreBench().start();
    bench.stall();
    await bench.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
    bench.kill();
    await bench.letGo();
    bench.isFull = true;
    await bench.start();
    expect((await bench.store.show('a'))!.state).toBe('completed');
    expect(bench.store.room.full).toBe(true);
    bench.kill();
    bench.isFull = false;
    await bench.start();
    expect(bench.store.room.full).toBe(false);
    expect((await bench.store.show('a'))!.state).toBe('completed');
  });

  test('after the disk was full for the book first has everything that was answered', async () => {
    const bench = await new StoreBench().start();
    bench.isFull = true;
    let answered = 0;
    for (; answered < 99; answered++) {
      await bench.store.commit([submitted(answered + 1, `t${answered + 1}`), moved(answered + 1, 'completed')]);
      await turn();
    }
    expect(bench.store.room.full).toBe(true);
    bench.cutPower();
    bench.isFull = false;
    await bench.start();
    const ids = Array.from({ length: answered }, (_, at) => `t${at + 1}`);
    expect([...(await bench.store.states(ids)).keys()]).toEqual(ids);
  });

  test('does not take a batch of a torn tail for one that follows what it writes itself', staleBatch);

  test('does not take a segment of a copy that went another way', copiesOfTwoWays);

  test('makes the names of segments durable that it finds, before it writes to them', namesOnAFullDisk);

  test('a book that the full disk let in again is fed on, in the same process', async () => {
    const bench = await new StoreBench().start();
    bench.isFull = true;
    await bench.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
    while (!bench.store.room.full) await turn();
    bench.isFull = false;
    await bench.store.check();
    while (bench.store.room.full) await turn();
    expect((await bench.store.show('a'))!.state).toBe('completed');
    bench.cutPower();
    await bench.start();
    expect((await bench.store.show('a'))!.state).toBe('completed');
  });

  test('what is deleted while the book is full is gone once there is room, and is found once', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 't1'), moved(1, 'completed')]);
    const look = () => bench.store.expired(expiryOf({ beforeMs: 9999 }));
    const expired = await look();
    expect(expired.tasks).toEqual([1]);
    bench.isFull = true;
    await bench.store.commit(deletionOf(expired));
    while (!bench.store.room.full) await turn();
    expect([await look(), await bench.store.shrink()]).toEqual([{ tasks: [], bodies: [], beforeMs: 0 }, false]);
    bench.isFull = false;
    await bench.store.check();
    while (bench.store.room.full) await turn();
    expect((await look()).tasks).toEqual([]);
    expect(await bench.store.show('t1')).toBeUndefined();
  });

  test('what has ended and is not in the book when a start finds that full is known to the start', async () => {
    const bench = await new StoreBench().start();
    const [id, aheadId] = [-1, 1].map((hours) => uuidv7(2_000_000_000_000 + hours * 3_600_000)) as [string, string];
    const old = { atMs: 1_999_999_999_000 };
    bench.isFull = true;
    await bench.store.commit([submitted(1, id), moved(1, 'completed', old)]);
    await bench.store.commit([submitted(2, aheadId), moved(2, 'completed', old)]);
    while (!bench.store.room.full) await turn();
    bench.kill();
    await bench.start();
    expect(bench.loaded).toMatchObject({
      ...{ tasks: [], newestId: id, idsAhead: [aheadId], newestAtMs: old.atMs, nextSeq: 3 },
    });
    expect([...(await bench.store.states([id, aheadId])).values()]).toEqual(['completed', 'completed']);
  });

  test('space that a full disk does not let the book give back fails nothing', async () => {
    const bench = await new StoreBench().start();
    bench.isFull = true;
    expect(await bench.store.shrink()).toBe(false);
    bench.isFull = false;
    await bench.store.commit([submitted(1, 't1')]);
  });

  test('a payload that looks like a batch header is no batch, where a torn batch lays it bare', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a')]);
    const heads = new Map<number, Uint8Array>();
    const note = (): void => {
      for (const name of bench.disk.names)
        if (name.endsWith('.journal')) heads.set(heads.size, bench.disk.bytes(name).slice(0, blockBytes));
    };
    note();
    await fill(bench, 60);
    // Whoever has an old backup knows the salts of segments that were released.
    const now = bench.disk.names.filter((name) => name.endsWith('.journal')).map((name) => bench.disk.bytes(name));
    const released = [...heads.values()]
      .map((head) => readSegmentHead(head)!)
      .find(({ salt }) => !now.some((bytes) => Buffer.from(readSegmentHead(bytes)!.salt).equals(salt)))!;
    const body = new Uint8Array(9000);
    const writer = new Writer();
    writeRecord(writer, submitted(2, 'b', { payload: body }));
    const lie = { ordinal: 5000, sequence: 5000, synced: 5000, chain: 0, recordsChain: 0, epoch: 9, records: 1 };
    const header = { ...lie, kind: 'records', bodyBytes: 0, pointer: undefined, writtenAtMs: 0 } as const;
    const at = blockBytes - headerBytes - (writer.length - body.length);
    writeHeader(body.subarray(at, at + headerBytes), released.salt, released.storeId, header, []);
    // The process dies with the batch written and not synced.
    const before = new Map(bench.disk.names.map((name) => [name, bench.disk.bytes(name).slice()]));
    bench.tick = (work) => {
      if (work === 'written, not synced') throw new GoneError();
    };
    await refusal(bench.store.commit([submitted(2, 'b', { payload: body })]));
    bench.tick = () => {};
    bench.kill();
    const [name, start] = [...before].flatMap(([file, bytes]) => {
      const first = bench.disk.bytes(file).findIndex((byte, index) => byte !== bytes[index]);
      return first < 0 ? [] : [[file, Math.floor(first / blockBytes) * blockBytes] as const];
    })[0]!;
    const lieAt = Buffer.from(bench.disk.bytes(name).subarray(start + blockBytes, start + blockBytes + 16));
    expect(lieAt.equals(released.salt)).toBe(true);
    bench.disk.damage(name, (bytes) => bytes.fill(0, start, start + 512));
    await bench.start();
    expect(await bench.store.states(['a', 'b'])).toEqual(new Map([['a', 'pending']]));
  });
});

describe('a book that is not the one beside this journal', () => {
  /** A store whose first segments are released, and copies of its book from before and after. */
  async function grown() {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
    await turn();
    const oldest = bench.book.copy();
    await fill(bench, 60);
    const older = bench.book.copy();
    await bench.store.commit([submitted(2, 'b'), moved(2, 'completed')]);
    await fill(bench, 3);
    await bench.store.close();
    return { bench, oldest, older };
  }

  test('restored older than the journal begins: refused', async () => {
    const { bench, oldest } = await grown();
    bench.book = oldest;
    const { code, message } = await refusal(bench.start());
    expect([code, message]).toEqual(['store_corrupt', expect.stringMatching(/what lies between is missing/)]);
  });

  test('gone: refused, and not begun anew', async () => {
    const { bench } = await grown();
    bench.book = new BookTwin();
    const { code, message } = await refusal(bench.start());
    expect([code, message]).toEqual(['store_corrupt', expect.stringMatching(/what lies between is missing/)]);
  });

  test('restored older, but not older than the journal begins: caught up', async () => {
    const { bench, older } = await grown();
    expect(older.rows.tasks.has(2)).toBe(false);
    bench.book = older;
    await bench.start();
    expect([...(await bench.store.states(['a', 'b'])).values()]).toEqual(['completed', 'completed']);
  });

  test('newer, since the journal was restored older: refused', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
    await bench.store.close();
    const copies = new Map(bench.disk.names.map((name) => [name, bench.disk.bytes(name).slice()]));
    await bench.start();
    await bench.store.commit([submitted(2, 'b'), moved(2, 'completed')]);
    await bench.store.close();
    for (const [name, bytes] of copies) bench.disk.damage(name, () => bytes);
    const { code, message } = await refusal(bench.start());
    expect([code, message]).toEqual(['store_corrupt', expect.stringMatching(/the book has taken in batch 2/)]);
  });

  test('of a journal that went another way from the same copy: refused', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
    await bench.store.close();
    const [copies, book] = [
      new Map(bench.disk.names.map((name) => [name, bench.disk.bytes(name).slice()])),
      bench.book.copy(),
    ];
    await bench.start();
    await bench.store.commit([setting('this way')]);
    await bench.store.close();
    const other = bench.book;
    for (const [name, bytes] of copies) bench.disk.damage(name, () => bytes);
    bench.book = book;
    await bench.start();
    await bench.store.commit([setting('that way')]);
    await fill(bench, 2);
    await bench.store.close();
    bench.book = other;
    const { code, message } = await refusal(bench.start());
    expect([code, message]).toEqual(['store_corrupt', expect.stringMatching(/went different ways at batch 2/)]);
  });

  test('of another store: refused', async () => {
    const bench = await new StoreBench().start();
    await bench.store.commit([setting('one')]);
    await bench.store.close();
    const other = await new StoreBench({}, 2).start();
    await other.store.commit([submitted(1, 'a'), moved(1, 'completed')]);
    await other.store.close();
    bench.book = other.book;
    expect(await refusal(bench.start())).toMatchObject({ code: 'store_foreign' });
  });
});
