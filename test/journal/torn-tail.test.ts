/** What is kept of torn tails. */
import { expect, test } from 'vitest';
import { blockBytes } from '../../src/journal/header.ts';
import { openJournal } from '../../src/journal/open.ts';
import { segmentName } from '../../src/journal/scan.ts';
import { DiskTwin } from '../twins/disk.ts';
import { dice } from './history.ts';

test('ten copies are, and the oldest goes when there is one more', async () => {
  const twin = new DiskTwin();
  const chance = dice(1);
  const copies: (string | undefined)[] = [];
  for (let start = 0; start <= 12; start++) {
    const journal = await openJournal({
      ...{ disk: twin.attach({ tick: () => {}, chance }), segmentBytes: 64 * blockBytes },
      ...{ sync: 'batch', sealMs: 100, later: () => {}, wallMs: () => 0 },
      failed: (error) => expect.unreachable(error.message),
      randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)),
      witnesses: async () => ({}),
      cut: (_sequence, _bytes, copy) => copies.push(copy),
    });
    await journal.close();
    twin.damage(segmentName(1), (bytes) => {
      const end = Math.ceil((bytes.findLastIndex((byte) => byte !== 0) + 1) / blockBytes) * blockBytes;
      return bytes.fill(7, end, end + 300);
    });
  }
  expect(copies).toEqual(Array.from({ length: 12 }, (_, at) => `journal.torn-${at + 1}`));
  const kept = twin.names.filter((name) => name.includes('torn'));
  expect(kept.toSorted()).toEqual(copies.slice(2).toSorted());
});
