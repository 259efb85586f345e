/** What every journal must do. Each engine runs this suite; `open` gives one over what the last one kept. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Journal } from '../../src/journal/port.ts';

export interface JournalBench {
  /** Opens it, or opens it again after a close. */
  open(): Promise<Journal>;
  readonly segmentBytes: number;
}

const bodyOf = (sequence: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (sequence * 31 + at) % 251);

async function batches(journal: Journal, from = journal.first): Promise<(readonly [number, number])[]> {
  const found: (readonly [number, number])[] = [];
  for await (const { sequence, body, records } of journal.read(from)) {
    expect(Buffer.from(body).equals(bodyOf(sequence, body.length))).toBe(true);
    expect(records).toBe(1);
    found.push([sequence, body.length]);
  }
  return found;
}

const append = (journal: Journal, sequence: number, length = 10) =>
  journal.append([bodyOf(sequence, length)], 1, sequence);

export function journalConformance(name: string, make: () => Promise<JournalBench>): void {
  describe(`${name} journal`, () => {
    const opened: Journal[] = [];
    const bench = async () => {
      const { open, segmentBytes } = await make();
      const reopen = async () => {
        await opened.at(-1)?.close();
        const journal = await open();
        opened.push(journal);
        return journal;
      };
      return { journal: await reopen(), reopen, segmentBytes };
    };
    afterEach(async () => {
      for (const journal of opened.splice(0)) await journal.close();
    });

    test('an empty one counts from 1, and every start begins an epoch', async () => {
      const { journal, reopen } = await bench();
      expect(journal.epoch).toBe(1);
      expect(journal.synced).toEqual({ sequence: 0, crc: 0 });
      expect(journal.first).toBe(1);
      expect(await batches(journal)).toEqual([]);
      expect((await reopen()).epoch).toBe(2);
      expect((await reopen()).epoch).toBe(3);
    });

    test('a sync: all of it is synced, and what nobody holds is let go', async () => {
      const { journal, segmentBytes } = await bench();
      journal.hold('test', 1);
      expect([...journal.holds]).toEqual([['test', 1]]);
      const half = Math.floor(segmentBytes / 2);
      for (let sequence = 1; sequence <= 6; sequence++) await append(journal, sequence, half);
      const { space } = journal;
      expect(space.segments).toBeGreaterThan(2);
      expect(space.olderLast).toBeGreaterThan(space.oldestLast);
      expect(space.olderLast).toBeLessThan(6);
      journal.hold('test', undefined);
      expect([...journal.holds]).toEqual([]);
      await append(journal, 7); // it states the floor
      await journal.sync();
      expect(journal.synced).toEqual(journal.last);
      expect(journal.space).toMatchObject({ segments: 2, oldestLast: 0 }); // a floor never points to the head
      expect(journal.first).toBeGreaterThan(3);
    });

    test('what was committed is there after a restart, byte for byte', async () => {
      const { journal, reopen } = await bench();
      journal.hold('test', 1);
      const lengths = [0, 1, 3968, 3969, 8064, journal.bodyBytesMax, 17];
      for (const [at, length] of lengths.entries()) expect(await append(journal, at + 1, length)).toBe('committed');
      const expected = lengths.map((length, at) => [at + 1, length]);
      expect(await batches(journal)).toEqual(expected);
      const { synced } = journal;
      const again = await reopen();
      expect(again.synced).toEqual(synced);
      expect(await batches(again)).toEqual(expected);
      expect(await batches(again, 6)).toEqual(expected.slice(5));
      expect(await append(again, 8)).toBe('committed');
    });

    test('a batch may come in many parts', async () => {
      const { journal, reopen } = await bench();
      const body = bodyOf(1, 5000);
      const parts = Array.from({ length: 2500 }, (_, at) => body.subarray(at * 2, at * 2 + 2));
      expect(await journal.append(parts, 1, 1)).toBe('committed');
      expect(await batches(await reopen())).toEqual([[1, 5000]]);
    });

    test('only the next sequence is appended', async () => {
      const { journal } = await bench();
      expect(await append(journal, 2)).toBe('refused');
      expect(await append(journal, 1)).toBe('committed');
      expect(await append(journal, 1)).toBe('refused');
      expect(await append(journal, 3)).toBe('refused');
      expect(await batches(journal)).toEqual([[1, 10]]);
    });

    test('appends that are asked for at once are made one after the other', async () => {
      const { journal } = await bench();
      expect(await Promise.all([1, 2, 3, 4].map((sequence) => append(journal, sequence)))).toEqual(
        Array.from({ length: 4 }, () => 'committed'),
      );
      expect(await batches(journal)).toHaveLength(4);
    });

    test('a closed one refuses', async () => {
      const { journal } = await bench();
      await journal.close();
      expect(await append(journal, 1)).toBe('refused');
      await journal.close();
    });

    test('nothing is released that is held, and what nobody holds is', async () => {
      const { journal, reopen, segmentBytes } = await bench();
      const length = Math.floor(journal.bodyBytesMax / 3);
      journal.hold('slow', 3);
      for (let sequence = 1; sequence <= 60; sequence++) {
        expect(await append(journal, sequence, length)).toBe('committed');
        journal.hold('fast', sequence);
      }
      expect(journal.first).toBeLessThanOrEqual(3);
      expect((await batches(journal, 3)).map(([sequence]) => sequence)).toEqual(
        Array.from({ length: 58 }, (_, at) => at + 3),
      );
      const { usedBytes } = journal.space;
      journal.hold('slow', undefined);
      await append(journal, 61, length);
      await append(journal, 62, length);
      expect(journal.first).toBeGreaterThan(50);
      expect(journal.first).toBeLessThanOrEqual(60);
      expect(journal.space.usedBytes).toBeLessThan(usedBytes / 4);
      expect(journal.space.usedBytes).toBeLessThanOrEqual(3 * segmentBytes);
      const { first } = journal;
      expect((await reopen()).first).toBe(first);
    });

    test('gives back what was released, and keeps enough ready', async () => {
      const { journal, reopen, segmentBytes } = await bench();
      const length = Math.floor(journal.bodyBytesMax / 2);
      journal.hold('test', 1);
      for (let sequence = 1; sequence <= 12; sequence++) await append(journal, sequence, length);
      journal.hold('test', 13);
      for (let sequence = 13; sequence <= 14; sequence++) await append(journal, sequence);
      const { usedBytes, readyBytes } = journal.space;
      expect(readyBytes).toBeGreaterThan(2 * segmentBytes);
      await Promise.all([journal.trim(), append(journal, 15), journal.trim()]);
      expect(journal.space).toMatchObject({ usedBytes, readyBytes: 2 * segmentBytes, full: false });
      expect(journal.roomAfter(0)).toBe(journal.bodyBytesMax);
      const again = await reopen();
      expect(again.space.readyBytes).toBe(2 * segmentBytes);
      for (let sequence = 16; sequence <= 20; sequence++)
        expect(await append(again, sequence, length)).toBe('committed');
      expect((await batches(again)).at(-1)).toEqual([20, length]);
    });

    test('says what is to be written again before the oldest segment can go', async () => {
      const { journal } = await bench();
      expect(journal.space.oldestLast).toBe(0);
      journal.hold('all', 1);
      for (let sequence = 1; sequence <= 6; sequence++)
        await append(journal, sequence, Math.floor(journal.bodyBytesMax / 2));
      const { oldestLast } = journal.space;
      expect(oldestLast).toBeGreaterThan(0);
      expect(oldestLast).toBeLessThan(6);
      journal.hold('all', oldestLast + 1);
      await append(journal, 7);
      await append(journal, 8);
      expect(journal.first).toBe(oldestLast + 1);
    });

    test('a read sees what was synced when it began', async () => {
      const { journal } = await bench();
      journal.hold('test', 1);
      for (let sequence = 1; sequence <= 5; sequence++) await append(journal, sequence);
      const seen: number[] = [];
      for await (const { sequence } of journal.read(1)) {
        if (sequence === 1) await append(journal, 6);
        seen.push(sequence);
      }
      expect(seen).toEqual([1, 2, 3, 4, 5]);
    });
  });
}
