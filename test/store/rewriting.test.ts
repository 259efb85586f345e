/** What is read ahead, to be written again. */
import { expect, test } from 'vitest';
import { absentBody } from '../../src/core/body.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { LiveState } from '../../src/store/live-state.ts';
import { Payloads, type Place } from '../../src/store/payloads.ts';
import { Rewriting } from '../../src/store/rewriting.ts';
import { endedTask } from '../conformance/book.ts';
import { specOf } from '../conformance/records.ts';

const placeIn = (batch: number): Place => ({ batch, offset: 0, length: 8, crc: 0 });

test('a payload whose task ends while others are read is not asked for: its segment may be gone', async () => {
  const seqs = [1, 2, 3];
  const spec = (seq: number) => specOf(`t${seq}`, { payload: absentBody(8) });
  const payloads = new Payloads(0);
  for (const seq of seqs) payloads.add(seq, spec(seq), placeIn(seq));
  const live: Pick<LiveState, 'oldest' | 'upTo' | 'fullRecord'> = {
    oldest: { key: 1, batch: 1 },
    upTo: () => seqs[Symbol.iterator](),
    fullRecord: (key) => endedTask(Number(key), `t${key}`, { spec: spec(Number(key)), state: 'pending' }),
  };
  const read: string[] = [];
  const rewriting = new Rewriting(
    live as LiveState,
    payloads,
    async (id) => {
      read.push(id);
      if (id === 't1') payloads.remove(2, spec(2));
      return new Uint8Array(8);
    },
    (error) => expect.unreachable(error.message),
  );
  rewriting.write(new Writer(), 9, { upTo: 5, most: 1000, room: 1000 });
  await rewriting.reading;
  expect(read).toEqual(['t1', 't3']);
});
