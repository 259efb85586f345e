/** The files of the journal, as they are prepared and used again. */
import { expect, test } from 'vitest';
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
