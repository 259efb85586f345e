/** The files of the journal, as they are prepared and used again. */
import { expect, test } from 'vitest';
import { type Disk, DiskFullError } from '../../src/journal/disk.ts';
import { blockBytes, saltBytes } from '../../src/journal/header.ts';
import { segmentName } from '../../src/journal/scan.ts';
import { SegmentFiles } from '../../src/journal/segments.ts';
import { DiskTwin } from '../twins/disk.ts';

test('a released file that a full disk does not let grow is used again under the name that it has got', async () => {
  const twin = new DiskTwin();
  // It says that there is space, and there is none.
  const disk = twin.attach({ tick: () => {}, chance: () => 0, capacity: 4 * blockBytes });
  const newSalt = () => new Uint8Array(saltBytes);
  const files = new SegmentFiles({ disk, storeId: new Uint8Array(16), synced: true, newSalt }, 0);
  await files.release((await files.next(4 * blockBytes))!);
  expect(await files.prepare(8 * blockBytes)).toBe(false);
  expect(twin.names).toEqual([segmentName(2)]);
  expect(await files.prepare(4 * blockBytes)).toBe(true);
  expect(twin.names).toEqual([segmentName(2)]);
  expect(files.spares).toMatchObject([{ number: 2, bytes: 4 * blockBytes }]);
});

test.each(['open', 'rename'] as const)(
  'a disk without room for a name (%s) is a full disk, and nothing is lost of it',
  async (work) => {
    const twin = new DiskTwin();
    const disk = twin.attach({ tick: () => {}, chance: () => 0 });
    let isFull = false;
    const refusing = {
      ...disk,
      [work]: async (...how: never[]) => {
        if (isFull) throw new DiskFullError('no space left on device');
        return (disk[work] as (...all: never[]) => Promise<unknown>)(...how);
      },
    } as Disk;
    const newSalt = () => new Uint8Array(saltBytes);
    const files = new SegmentFiles({ disk: refusing, storeId: new Uint8Array(16), synced: true, newSalt }, 0);
    const first = (await files.next(4 * blockBytes))!;
    if (work === 'rename') await files.release(first);
    isFull = true;
    expect(await files.prepare(4 * blockBytes)).toBe(false);
    expect(twin.names).toEqual([segmentName(1)]);
    isFull = false;
    expect(await files.prepare(4 * blockBytes)).toBe(true);
    expect(twin.names).toEqual(work === 'rename' ? [segmentName(2)] : [segmentName(1), segmentName(2)]);
  },
);
