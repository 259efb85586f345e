/** Histories without chance, each for one rule that random ones reach too rarely; each throws when the journal lets it be broken. */
import assert from 'node:assert/strict';
import { blockBytes } from '../../src/journal/header.ts';
import { openJournal } from '../../src/journal/open.ts';
import { type Journal, JournalError } from '../../src/journal/port.ts';
import { segmentName } from '../../src/journal/scan.ts';
import { dice } from '../journal/history.ts';
import { DiskTwin, GoneError } from '../twins/disk.ts';
import { turn } from './twin-store.ts';

const segmentBytes = 8 * blockBytes;

const opened = (
  disk: DiskTwin,
  chance: () => number,
  { tick = () => {}, capacity }: { readonly tick?: (work: string) => void; readonly capacity?: number } = {},
): Promise<Journal> =>
  openJournal({
    ...{ segmentBytes, sync: 'batch', sealMs: 100, later: () => {}, wallMs: () => 0, failed: () => {} },
    disk: disk.attach({ tick, chance, ...(capacity !== undefined && { capacity }) }),
    witnesses: async () => ({}),
    randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)),
  });

async function append(journal: Journal, text: string): Promise<boolean> {
  const appended = await journal.append([Buffer.from(text)], 1, journal.synced.sequence + 1);
  return appended === 'committed';
}

async function texts(journal: Journal): Promise<string[]> {
  const found: string[] = [];
  for await (const { body } of journal.read(journal.first)) found.push(Buffer.from(body).toString());
  return found;
}

const segmentsOf = (disk: DiskTwin): Map<string, Uint8Array> =>
  new Map(disk.names.filter((name) => name.endsWith('.journal')).map((name) => [name, disk.bytes(name).slice()]));

/**
 * Two copies of a store went on, each its own way, with as many batches; then a segment of one is put into the other. The
 * store's id, the ordinals and the epochs all fit: only the chain of CRCs tells.
 */
export async function copiesOfTwoWays(): Promise<void> {
  const way = async (name: string, seed: number): Promise<DiskTwin> => {
    const disk = new DiskTwin();
    const first = await opened(disk, dice(1));
    first.hold('test', 1);
    for (let at = 1; at <= 3; at++) await append(first, `both ${at}`);
    await first.close();
    disk.kill();
    const second = await opened(disk, dice(seed));
    second.hold('test', 1);
    for (let at = 1; at <= 12; at++) await append(second, `${name} ${at}`);
    await second.close();
    disk.kill();
    return disk;
  };
  const [one, other] = [await way('one', 2), await way('other', 3)];
  const strange = segmentsOf(other).get(segmentName(3))!;
  one.damage(segmentName(3), () => strange);
  const error = await opened(one, dice(4)).then(
    async (journal) => new Error(`it starts: ${await texts(journal)}`),
    (thrown: Error) => thrown,
  );
  assert(error instanceof JournalError && error.code === 'journal_damaged', error.message);
}

/**
 * A process is killed when the segment after next is ready and its name is not durable yet; the next one finds the disk
 * full, so that nothing is prepared any more, and fills that segment; then the power fails.
 */
export async function namesOnAFullDisk(): Promise<void> {
  const disk = new DiskTwin();
  const first = await opened(disk, dice(1));
  first.hold('test', 1);
  let isDead = false;
  disk.kill();
  const tick = (work: string): void => {
    isDead ||= work === 'sync directory' && disk.names.includes(segmentName(4));
    if (isDead) throw new GoneError();
  };
  const second = await opened(disk, dice(2), { tick });
  second.hold('test', 1);
  const answered: string[] = [];
  const add = async (journal: Journal): Promise<boolean> => {
    const text = `batch ${answered.length + 1}`;
    const committed = await append(journal, text).catch(() => false);
    if (committed) answered.push(text);
    await turn();
    return committed;
  };
  while (!isDead) await add(second);
  disk.kill();
  const third = await opened(disk, dice(3), { capacity: 0 });
  third.hold('test', 1);
  while (await add(third));
  disk.cutPower(() => 0.99); // every sector arrives, and no change of a name
  assert(disk.names.includes(segmentName(4)), 'the name of a segment with answered batches is gone');
  assert.deepEqual(await texts(await opened(disk, dice(4))), answered);
}

/** Of two batches that were never synced only the second arrives; what is written next ends where it begins. */
export async function staleBatch(): Promise<void> {
  const disk = new DiskTwin();
  const late = (chance: () => number) =>
    openJournal({
      ...{ segmentBytes, sync: 100, sealMs: 100, later: () => {}, wallMs: () => 0, failed: () => {} },
      disk: disk.attach({ tick: () => {}, chance }),
      witnesses: async () => ({}),
      randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)),
    });
  const first = await late(dice(1));
  for (let sequence = 1; sequence <= 3; sequence++) await first.append([Buffer.from(`old ${sequence}`)], 1, sequence);
  disk.kill();
  // Block 1 has the seal of the start; the batches follow.
  disk.damage(segmentName(1), (bytes) => bytes.fill(0, 3 * blockBytes, 4 * blockBytes));
  const second = await late(dice(2));
  assert.equal(second.synced.sequence, 1);
  // The seal of this start stands where the lost batch was: what it was, the stale batch now follows by ordinal.
  disk.kill();
  const third = await late(dice(3));
  assert.equal(third.synced.sequence, 1);
  assert.deepEqual(await texts(third), ['old 1']);
}
