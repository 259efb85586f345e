/** What is left of a journal whose making was cut short: its first segment, before it had a head. */
import type { Disk, DiskFile } from './disk.ts';
import { contentBytes, readAll, segmentName } from './scan.ts';

/** Takes it away, and out of `handles`, when the only file is a first segment in which nothing was ever written. */
export async function removeUnborn(disk: Disk, handles: Map<number, DiskFile>): Promise<void> {
  const first = handles.get(1);
  if (first === undefined || handles.size > 1 || contentBytes(await readAll(first)) > 0) return;
  handles.delete(1);
  await first.close();
  await disk.remove(segmentName(1));
}
