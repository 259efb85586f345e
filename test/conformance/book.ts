/** What every book must do. Each engine runs this suite. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Book, BookPosition, EndedFilter, Expiry } from '../../src/book/port.ts';
import { present } from '../../src/core/body.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { JournalRecord, RecordOf } from '../../src/core/record.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { fullRecord, submittedTask } from '../../src/core/replay.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { expiryOf, moved, specOf } from './records.ts';

/** One book, and what is left of it when its process or its machine dies now. */
export interface BookBench {
  open(): Book;
  kill(): Promise<void>;
  /** Of what was not synced, everything is lost. */
  cutPower(): Promise<void>;
}

export const positionAt = (sequence: number): BookPosition => ({
  storeId: 'ab',
  epoch: 3,
  sequence,
  crc: sequence * 7,
});

export function bytesOf(...records: readonly JournalRecord[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  for (const record of records) writeRecord(writer, record);
  return new Uint8Array(writer.written);
}

export const endedTask = (seq: number, id: string, changes: Partial<RecordOf<'task'>> = {}): RecordOf<'task'> => ({
  ...fullRecord(submittedTask({ seq, spec: specOf(id), submittedAtMs: 10 })),
  ...{ state: 'completed', attempt: 1, token: '1.1', atMs: 100 + seq, collectorId: 'A' },
  ...changes,
});

export const failedAttempt = (seq: number, number: number, collectorId = 'A'): JournalRecord => ({
  ...{ kind: 'attempt', seq, attempt: number, collectorId, startedAtMs: 1, endedAtMs: 2, outcome: 'failed' },
  error: { code: 'broken', message: 'it broke' },
});

const all: EndedFilter = {
  ...{ states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 100 },
};
const idsOf = async (book: Book, filter: Partial<EndedFilter> = {}) =>
  (await book.list({ ...all, ...filter })).map(({ spec }) => spec.id);

export function bookConformance(name: string, make: () => BookBench): void {
  describe(`${name} book`, () => {
    const opened: Book[] = [];
    const openedBy = async (bench: BookBench): Promise<Book> => {
      const book = bench.open();
      opened.push(book);
      await book.open();
      return book;
    };
    const fresh = async () => {
      const bench = make();
      return { bench, book: await openedBy(bench) };
    };
    const again = async (bench: BookBench): Promise<Book> => {
      for (const book of opened.splice(0)) await book.close();
      return openedBy(bench);
    };
    afterEach(async () => {
      for (const book of opened.splice(0)) await book.close();
    });

    test('a new one stands nowhere', async () => {
      const { book } = await fresh();
      expect(await book.open()).toBeUndefined();
      expect(await book.checkpoint()).toBeUndefined();
    });

    test('what ended is there with its bodies and attempts, and where it stands', async () => {
      const { bench, book } = await fresh();
      const task = endedTask(1, 'a');
      const result = moved(1, 'completed', { result: Uint8Array.of(5) });
      await book.apply(bytesOf(failedAttempt(1, 1), failedAttempt(1, 2, 'B'), task, result), positionAt(4));
      for (const reopen of [false, true]) {
        const one = reopen ? await again(bench) : book;
        expect(await one.open()).toEqual(positionAt(4));
        const { kind: _, ...fields } = task;
        const shown = (await one.show('a'))!;
        expect({ ...shown, spec: { ...shown.spec, payload: Buffer.from(present(shown.spec.payload)) } }).toEqual({
          ...fields,
          spec: { ...fields.spec, payload: Buffer.from(present(fields.spec.payload)) },
          result: shown.result,
          attempts: await one.attempts(1),
        });
        expect([...shown.result!]).toEqual([5]);
        expect((await one.attempts(1)).map(({ attempt: number, collectorId }) => [number, collectorId])).toEqual([
          [1, 'A'],
          [2, 'B'],
        ]);
        expect([...(await one.states(['a', 'none']))]).toEqual([['a', 'completed']]);
        expect(await one.show('none')).toBeUndefined();
        expect(await one.attempts(2)).toEqual([]);
      }
    });

    test('the same batch again changes nothing', async () => {
      const { book } = await fresh();
      const result = moved(1, 'completed', { result: Uint8Array.of(5) });
      for (const _ of [1, 2]) await book.apply(bytesOf(failedAttempt(1, 1), endedTask(1, 'a'), result), positionAt(1));
      expect(await idsOf(book)).toEqual(['a']);
      expect(await book.attempts(1)).toHaveLength(1);
      expect([...(await book.show('a'))!.result!]).toEqual([5]);
    });

    test('a task that lives again is out of it, and keeps its attempts', async () => {
      const { book } = await fresh();
      await book.apply(bytesOf(failedAttempt(1, 1), endedTask(1, 'a', { state: 'dead_letter' })), positionAt(1));
      await book.apply(bytesOf(endedTask(1, 'a', { state: 'pending' })), positionAt(2));
      expect(await book.show('a')).toBeUndefined();
      expect(await book.attempts(1)).toHaveLength(1);
      await book.apply(bytesOf(failedAttempt(1, 2), endedTask(1, 'a')), positionAt(3));
      expect(await book.attempts(1)).toHaveLength(2);
    });

    test('lists the newest first, by state, operation, collector and page, without bodies', async () => {
      const { book } = await fresh();
      await book.apply(
        bytesOf(
          endedTask(1, 'a', { spec: specOf('a', { operation: 'hash' }) }),
          endedTask(2, 'b', { state: 'cancelled', collectorId: undefined }),
          endedTask(3, 'c', { collectorId: 'B' }),
        ),
        positionAt(1),
      );
      expect(await idsOf(book)).toEqual(['c', 'b', 'a']);
      expect(await idsOf(book, { limit: 2 })).toEqual(['c', 'b']);
      expect(await idsOf(book, { beforeSeq: 2 })).toEqual(['a']);
      expect(await idsOf(book, { states: ['completed', 'expired' as 'completed'] })).toEqual(['c', 'a']);
      expect(await idsOf(book, { operation: 'hash' })).toEqual(['a']);
      expect(await idsOf(book, { collectorId: 'B', states: ['completed'] })).toEqual(['c']);
      expect((await book.list(all)).every(({ spec }) => spec.payload.length === 0)).toBe(true);
    });

    test('what is too old is named, the oldest first, and a purge takes all of it', async () => {
      const { book } = await fresh();
      const dead = { state: 'dead_letter' } as const;
      const two = [endedTask(1, 'a', { atMs: 30 }), endedTask(2, 'b', { atMs: 20 })];
      await book.apply(bytesOf(...two, endedTask(3, 'c', { ...dead, atMs: 15 })), positionAt(1));
      const result = moved(2, 'completed', { result: Uint8Array.of(1) });
      await book.apply(bytesOf(failedAttempt(2, 1), result), positionAt(2));
      const expired = async (changes: Partial<Expiry>) => (await book.expired(expiryOf(changes))).tasks;
      expect(await expired({ beforeMs: 31, deadLettersBeforeMs: 15 })).toEqual([2, 1]);
      expect(await expired({ beforeMs: 31, deadLettersBeforeMs: 16 })).toEqual([3, 2, 1]);
      expect(await expired({ beforeMs: 31, limit: 1 })).toEqual([2]);
      expect(await expired({ deadLettersBeforeMs: 16 })).toEqual([3]);
      await book.apply(bytesOf({ kind: 'purged', seqs: [2, 3] }), positionAt(3));
      expect(await idsOf(book)).toEqual(['a']);
      expect(await book.attempts(2)).toEqual([]);
      expect(await book.show('b')).toBeUndefined();
    });

    test('a task is kept from its end on, or from the time of an id that is ahead of that', async () => {
      const { book } = await fresh();
      const nowMs = 1_800_000_000_000;
      const [past, ahead] = [uuidv7(nowMs - 500), uuidv7(nowMs + 500)];
      const both = [endedTask(1, ahead, { atMs: nowMs }), endedTask(2, past, { atMs: nowMs })];
      await book.apply(bytesOf(...both), positionAt(1));
      const expired = (beforeMs: number) => book.expired(expiryOf({ beforeMs, wallMs: nowMs }));
      expect(await expired(nowMs)).toEqual({ tasks: [], bodies: [], beforeMs: 0 });
      expect(await expired(nowMs + 1)).toEqual({ tasks: [2], bodies: [], beforeMs: nowMs - 499 });
      // An id that is ahead of the clock must not make every other look old.
      expect(await expired(nowMs + 501)).toEqual({ tasks: [2, 1], bodies: [], beforeMs: nowMs - 499 });
    });

    test('knows how many tasks it has, whatever became of them, and when the latest ended', async () => {
      const { bench, book } = await fresh();
      const over = async (one: Book, tasksMax: number) => (await one.expired(expiryOf({ tasksMax }))).tasks;
      const dead = endedTask(2, 'b', { state: 'dead_letter' });
      const records = [endedTask(1, 'a'), dead, endedTask(3, 'c'), endedTask(4, 'd')];
      for (const _ of [1, 2]) await book.apply(bytesOf(...records), positionAt(1));
      await expect(book.apply(bytesOf(endedTask(5, 'e'), endedTask(6, 'a')), positionAt(2))).rejects.toThrow();
      expect(await over(book, 4)).toEqual([]);
      expect(await over(book, 1)).toEqual([1, 3, 4]); // dead letters last
      await book.apply(bytesOf(endedTask(2, 'b', { state: 'pending' })), positionAt(2));
      await book.apply(bytesOf({ kind: 'purged', seqs: [1, 1, 9] }), positionAt(3));
      for (const reopen of [false, true]) {
        const one = reopen ? await again(bench) : book;
        expect(await over(one, 2)).toEqual([]);
        expect(await over(one, 1)).toEqual([3]);
        expect(await one.newest(1000, 1)).toMatchObject({ endedAtMs: 104, seq: 4 });
      }
    });

    test('bodies beyond a number of bytes are named, the oldest first, dead letters last, and are deleted alone', async () => {
      const { book } = await fresh();
      const payload = new Uint8Array(40_000);
      const seqs = Array.from({ length: 50 }, (_, at) => at + 1);
      const taskOf = (seq: number) =>
        endedTask(seq, `t${seq}`, {
          spec: specOf(`t${seq}`, { payload }),
          state: seq === 1 ? 'dead_letter' : 'completed',
        });
      await book.apply(bytesOf(...seqs.map(taskOf)), positionAt(1));
      expect((await book.expired(expiryOf({ bytesMax: 10_000_000 }))).bodies).toEqual([]);
      const trimmed: number[] = [];
      for (let sequence = 2; ; sequence++) {
        const { tasks, bodies } = await book.expired(expiryOf({ bytesMax: 1_000_000, limit: 3 }));
        if (bodies.length === 0) break;
        expect([tasks, bodies.length <= 3]).toEqual([[], true]);
        await book.apply(bytesOf({ kind: 'trimmed', seqs: bodies }), positionAt(sequence));
        trimmed.push(...bodies);
      }
      expect(trimmed).toEqual(seqs.slice(1, trimmed.length + 1));
      const leftBytes = (50 - trimmed.length) * 40_000;
      expect([leftBytes <= 1_000_000, leftBytes > 750_000]).toEqual([true, true]);
      const lengthOf = async (id: string) => (await book.show(id))!.spec.payload.length;
      expect([await lengthOf('t1'), await lengthOf('t2'), await lengthOf('t50')]).toEqual([40_000, 0, 40_000]);
      expect(await idsOf(book)).toHaveLength(50);
    });

    test('a deletion waits for a checkpoint, and there is an end to giving space back', async () => {
      const { book } = await fresh();
      const seqs = Array.from({ length: 200 }, (_, at) => at + 1);
      const payload = new Uint8Array(20_000);
      await book.apply(
        bytesOf(...seqs.map((seq) => endedTask(seq, `t${seq}`, { spec: specOf(`t${seq}`, { payload }) }))),
        positionAt(1),
      );
      await book.checkpoint();
      expect(await book.apply(bytesOf({ kind: 'purged', seqs }), positionAt(2))).toBeGreaterThan(0);
      let slices = 1;
      for (let shrunk = await book.shrink(false); shrunk.isMore; shrunk = await book.shrink(false)) slices++;
      expect(slices).toBeGreaterThan(1);
      expect(slices).toBeLessThan(200);
      await book.checkpoint();
      expect(await book.shrink(false)).toEqual({ isMore: false, unsavedBytes: 0 });
      // What the file may have for rows to come goes when all is asked for.
      while ((await book.shrink(true)).isMore);
      await book.checkpoint();
      expect(await book.shrink(true)).toEqual({ isMore: false, unsavedBytes: 0 });
      expect([await book.open(), await idsOf(book)]).toEqual([positionAt(2), []]);
    });

    test('tells the newest of it, and what is ahead of the clock', async () => {
      const { book } = await fresh();
      const nowMs = 1_800_000_000_000;
      expect(await book.newest(nowMs, 2)).toEqual({ id: undefined, idsAhead: [], endedAtMs: undefined, seq: 0 });
      const [past, ...ahead] = [-5000, 1000, 3000, 2000].map((byMs) => uuidv7(nowMs + byMs));
      const ended = [past!, ...ahead].map((id, at) => endedTask(at + 1, id, { atMs: 500 - at }));
      await book.apply(bytesOf(...ended), positionAt(1));
      const [first, second] = ahead.toSorted().reverse();
      expect(await book.newest(nowMs, 2)).toEqual({ id: past, idsAhead: [first, second], endedAtMs: 500, seq: 4 });
    });

    test('is entered whole or not at all', async () => {
      const { book } = await fresh();
      await book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
      // Another task with the same id, and a record that is nothing for the book.
      await expect(book.apply(bytesOf(endedTask(2, 'b'), endedTask(3, 'a')), positionAt(2))).rejects.toThrow();
      const setting = { kind: 'setting', namespace: 'default', key: 'k', value: 'v' } as const;
      await expect(book.apply(bytesOf(endedTask(2, 'b'), setting), positionAt(2))).rejects.toThrow(
        'a setting is nothing for the book',
      );
      expect([await book.open(), await idsOf(book)]).toEqual([positionAt(1), ['a']]);
    });

    test('a kill takes nothing that was applied', async () => {
      const { bench, book } = await fresh();
      await book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
      await bench.kill();
      const killed = await again(bench);
      expect([await killed.open(), await idsOf(killed)]).toEqual([positionAt(1), ['a']]);
    });

    test('a power failure takes transactions from its end at most; a checkpoint is safe from that', async () => {
      const { bench, book } = await fresh();
      await book.apply(bytesOf(endedTask(1, 'a')), positionAt(1));
      expect(await book.checkpoint()).toEqual(positionAt(1));
      await book.apply(bytesOf(endedTask(2, 'b')), positionAt(2));
      await bench.cutPower();
      const cut = await again(bench);
      expect([await cut.open(), await idsOf(cut)]).toEqual([positionAt(1), ['a']]);
      await cut.apply(bytesOf(endedTask(2, 'b')), positionAt(2));
      expect(await idsOf(cut)).toEqual(['b', 'a']);
    });
  });
}
