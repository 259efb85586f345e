/** A journal that is closed holds no file. */
import { expect, test } from 'vitest';
import type { Disk, DiskFile } from '../../src/journal/disk.ts';
import { openJournal } from '../../src/journal/open.ts';
import { DiskTwin } from '../twins/disk.ts';

test('a close closes every file: those in use, those kept ready and those to be used again', async () => {
  const open = new Map<DiskFile, string>();
  const twin = new DiskTwin().attach({ tick: () => {}, chance: () => 0 });
  const disk: Disk = {
    ...twin,
    open: async (name, how) => {
      const file = await twin.open(name, how);
      const watched = { ...file, close: async () => void open.delete(watched) };
      open.set(watched, name);
      return watched;
    },
  };
  const journal = await openJournal({
    ...{ disk, segmentBytes: 8 * 4096, sync: 'batch', sealMs: 100, later: () => {}, wallMs: () => 0 },
    failed: (error) => expect.unreachable(error.message),
    randomBytes: (count) => new Uint8Array(count).fill(7),
    witnesses: async () => ({}),
  });
  journal.hold('test', 1);
  for (let sequence = 1; sequence <= 30; sequence++) {
    if (sequence === 29) journal.hold('test', 28);
    expect(await journal.append([new Uint8Array(100)], 1, sequence)).toBe('committed');
  }
  expect(journal.first).toBeGreaterThan(10);
  expect(open.size).toBeGreaterThan(journal.space.segments + 2); // with two kept ready
  await journal.close();
  expect([...open.values()]).toEqual([]);
});
