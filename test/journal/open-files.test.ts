/** Whatever fails while a journal is opened or closed: none of its files stays open. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Disk } from '../../src/journal/disk.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { Journal } from '../../src/journal/port.ts';
import { DiskTwin } from '../twins/disk.ts';
import { dice } from './history.ts';

const segmentBytes = 16 * 4096;
let twin: DiskTwin;
let opened: number;
/** Pieces of work until the one that fails; it alone. */
let left: number;
beforeEach(() => {
  twin = new DiskTwin();
  [opened, left] = [0, Number.POSITIVE_INFINITY];
});
afterEach(() => expect(opened).toBe(0));

function counted(disk: Disk): Disk {
  return {
    ...disk,
    async open(...how) {
      const file = await disk.open(...how);
      let isOpen = true;
      opened++;
      return {
        ...file,
        async close() {
          if (isOpen) opened--;
          isOpen = false;
        },
      };
    },
  };
}

function open(): Promise<Journal> {
  const tick = (): void => {
    if (--left === 0) throw new Error('the disk hums');
  };
  const chance = dice(1);
  return openJournal({
    disk: counted(twin.attach({ tick, chance })),
    ...{ segmentBytes, sync: 'batch', sealMs: 100, later: () => {}, wallMs: () => 0, failed: () => {} },
    randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)),
    witnesses: async () => ({}),
  });
}

/** Fails at each of its pieces of work in turn, until it does not; answers how many there were. */
async function failing(prepare: () => Promise<void>): Promise<number> {
  for (let at = 1; ; at++) {
    twin = new DiskTwin();
    left = Number.POSITIVE_INFINITY;
    await prepare();
    left = at;
    const journal = await open().catch(() => undefined);
    if (journal === undefined) expect(opened, `work ${at}`).toBe(0);
    else {
      left = Number.POSITIVE_INFINITY;
      await journal.close();
      return at;
    }
  }
}

test('a new journal that cannot be opened', async () => {
  expect(await failing(async () => {})).toBeGreaterThan(10);
});

test('one that is there, and cannot be opened', async () => {
  const written = async (): Promise<void> => {
    const journal = await open();
    for (let sequence = 1; sequence <= 30; sequence++) await journal.append([new Uint8Array(5000)], 1, sequence);
    await journal.close();
  };
  expect(await failing(written)).toBeGreaterThan(10);
});

test('a journal whose last batch cannot be sealed', async () => {
  const journal = await open();
  await journal.append([new Uint8Array(10)], 1, 1);
  await journal.sync();
  left = 1;
  await expect(journal.close()).rejects.toMatchObject({ code: 'journal_failed' });
  expect(opened).toBe(0);
});
