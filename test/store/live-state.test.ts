/** Which payloads leave memory once their batch is safe. */
import { expect, test } from 'vitest';
import { LiveState } from '../../src/store/live-state.ts';
import { Payloads } from '../../src/store/payloads.ts';
import { moved, submitted } from '../conformance/records.ts';

test('that of a task that has ended meanwhile is let alone', () => {
  const payloads = new Payloads(10);
  const live = new LiveState(payloads);
  const payload = () => new Uint8Array(20).fill(7);
  live.fold(submitted(1, 'a', { payload: payload() }), { batch: 1, end: 100 }, undefined);
  live.fold(submitted(2, 'b', { payload: payload() }), { batch: 1, end: 200 }, undefined);
  const ended = live.task('a')!;
  const settle = live.cut();
  live.fold(moved(1, 'completed'), { batch: 2, end: 50 }, undefined);
  settle();
  expect(ended.spec.payload).toEqual(payload());
  expect([payloads.bytesInMemory, payloads.countOnDisk]).toEqual([0, 1]);
  expect(payloads.place(2)).toMatchObject({ batch: 1, offset: 180, length: 20 });
});

test('what lives is as large as its full records, whatever their bytes are in', () => {
  const live = new LiveState(new Payloads(10));
  const metadata = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`k${at}`, 'x'.repeat(1024)]));
  live.fold(submitted(1, 'a', { metadata }), { batch: 1, end: 100 }, undefined);
  expect(live.bytes).toBeGreaterThan(64 * 1024);
  expect(live.bytes).toBeLessThan(67 * 1024);
  live.fold(moved(1, 'completed'), { batch: 2, end: 50 }, undefined);
  expect(live.bytes).toBe(0);
});

test('one that is written again twice stands where the last of them put it, once that is safe; not at all when it has ended', () => {
  const payloads = new Payloads(0);
  const live = new LiveState(payloads);
  const payload = new Uint8Array(20).fill(7);
  for (const seq of [1, 2]) live.fold(submitted(seq, `t${seq}`, { payload }), { batch: 1, end: 100 * seq }, undefined);
  live.cut()();
  const placesOf = () => [1, 2].map((seq) => payloads.place(seq)?.batch);
  const again = (batch: number) => {
    for (const seq of [1, 2])
      if (live.task(`t${seq}`) !== undefined) live.rewritten(seq, { batch, end: 100 * seq }, payload);
    return live.cut();
  };
  const [second, third] = [again(2), again(3)];
  second();
  expect(placesOf()).toEqual([1, 1]);
  const places: (number | undefined)[] = [];
  const ends = {
    attempt: () => {},
    delete: () => {},
    end: (...[, , , , place]: readonly unknown[]) => places.push((place as { batch: number }).batch),
  };
  live.fold(moved(1, 'completed'), { batch: 4, end: 50 }, ends);
  third();
  expect([places, placesOf()]).toEqual([[3], [undefined, 3]]);
  const [fifth, sixth] = [again(5), again(6)];
  fifth();
  sixth();
  expect(placesOf()).toEqual([undefined, 6]);
});
