/**
 * Damage to the files of a small real store: a start refuses and says where, why and what to do, or comes up with everything
 * that was answered; nothing in between.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyStore } from '../../src/archive/verify.ts';
import { blockBytes, headerBytes } from '../../src/journal/header.ts';
import { StoreError } from '../../src/store/port.ts';
import { missing } from '../interop/missing.ts';
import { dice } from '../journal/history.ts';
import {
  flipped,
  type Grown,
  grownStore,
  type Image,
  isSegment,
  type Moment,
  outcome,
  RealStore,
  withFile,
} from './real-store.ts';

/** Of the places that could be damaged one in so many is. */
const stride = process.env.DEYE_TRUST === '1' ? 1 : 24;

let grown: Grown;
let other: Grown;
beforeAll(async () => {
  grown = await grownStore(1);
  other = await grownStore(2);
});

/** Refused with all that a person needs, or whole. */
async function judge(what: string, image: Image, expected = grown.expected): Promise<StoreError | 'whole'> {
  const judged = await outcome(image, expected).catch((error: Error) => {
    throw new Error(`${what}: ${error.message}`, { cause: error });
  });
  if (judged === 'whole') return judged;
  expect(['store_corrupt', 'store_foreign', 'store_newer'], what).toContain(judged.code);
  expect(judged.message, what).toMatch(/segment|Segment|book|journal\.json/);
  if (judged.code === 'store_corrupt')
    expect(judged.message, what).toMatch(/deye store verify \S+; restore a backup.*deye store salvage \S+ NEW_DIR/);
  return judged;
}

/** Of the main file, without the room behind it that was had for what is to come. */
function savedIn(image: Image): Buffer {
  const main = image.get('book.db')!;
  return main.subarray(0, main.findLastIndex((byte) => byte !== 0) + 1);
}

const logOf = (image: Image): Buffer => image.get('book.db-wal') ?? Buffer.alloc(0);

const codeOf = (judged: StoreError | 'whole'): string => (judged === 'whole' ? judged : judged.code);

/** Where something stands: headers, bodies, heads; and now and then a byte of what is empty. */
function places(bytes: Buffer, sample: number): number[] {
  const found: number[] = [];
  for (let at = sample % stride; at < bytes.length; at += stride) {
    const isHeader = at % blockBytes < headerBytes && bytes[at - (at % blockBytes)] !== 0;
    if (isHeader || bytes[at] !== 0 || at % 1024 < stride) found.push(at);
  }
  return found;
}

const segmentNames = (): string[] => [...grown.stopped.keys()].filter(isSegment);

describe('the journal', () => {
  test('a flipped bit is refused by its place, or does not matter', { timeout: 1_200_000 }, async () => {
    const tally = new Map<string, number>();
    for (const [index, name] of [...segmentNames(), 'journal/journal.json'].entries()) {
      const bytes = grown.stopped.get(name)!;
      for (const at of places(bytes, index * 7)) {
        const image = withFile(grown.stopped, name, flipped(bytes, at, at % 8));
        const judged = codeOf(await judge(`bit ${at % 8} of byte ${at} of ${name}`, image));
        tally.set(judged, (tally.get(judged) ?? 0) + 1);
        // One bit of a head, or of the store's own file, hides nothing.
        if (at < blockBytes || name.endsWith('.json')) expect(judged, `byte ${at} of ${name}`).toBe('whole');
      }
    }
    expect(tally.get('store_corrupt')).toBeGreaterThan(100 / stride);
  });

  test('a file that is cut is refused, or had nothing there', { timeout: 600_000 }, async () => {
    let refused = 0;
    for (const name of [...segmentNames(), 'journal/journal.json']) {
      const bytes = grown.stopped.get(name)!;
      const lengths = [0, 1, 79, 80, 4095, 4097, 9001, bytes.length - 1];
      for (let at = 1; at * blockBytes < bytes.length; at++) lengths.push(at * blockBytes);
      for (const length of lengths) {
        const cut = withFile(grown.stopped, name, bytes.subarray(0, Math.min(length, bytes.length)));
        if ((await judge(`${name} cut at ${length}`, cut)) !== 'whole') refused++;
      }
    }
    expect(refused).toBeGreaterThan(4);
  });

  test('blocks that are zeros are refused, or had nothing there', { timeout: 600_000 }, async () => {
    let refused = 0;
    for (const name of segmentNames())
      for (let block = 0; block < 8; block++)
        for (const [start, end] of [
          [block * blockBytes, (block + 1) * blockBytes],
          [block * blockBytes + 512, block * blockBytes + 1024],
        ]) {
          const zeroed = Buffer.from(grown.stopped.get(name)!).fill(0, start, end);
          if ((await judge(`${name} zero from ${start}`, withFile(grown.stopped, name, zeroed))) !== 'whole') refused++;
        }
    expect(refused).toBeGreaterThan(4);
  });
});

describe('a file', () => {
  test('that is gone is missed, or was not needed', async () => {
    const judged = new Map<string, string>();
    for (const name of grown.stopped.keys())
      judged.set(name, codeOf(await judge(`${name} gone`, withFile(grown.stopped, name, undefined))));
    expect(judged.get('book.db')).toBe('store_corrupt');
    expect(judged.get('journal/journal.json')).toBe('whole');
    expect([...judged].filter(([name, code]) => isSegment(name) && code === 'store_corrupt').length).toBeGreaterThan(1);
  });

  test('that is an older copy of itself is noticed, or says the same', async () => {
    const codes = new Set<string>();
    for (const [name, bytes] of grown.older)
      codes.add(codeOf(await judge(`${name} older`, withFile(grown.stopped, name, bytes))));
    expect(codes).toEqual(new Set(['whole', 'store_corrupt']));
  });

  test('that is of another store is refused', async () => {
    for (const [name, bytes] of other.stopped)
      if (grown.stopped.has(name))
        expect(codeOf(await judge(`${name} of another store`, withFile(grown.stopped, name, bytes))), name).toBe(
          'store_foreign',
        );
  });

  test('all segments gone, or all of the journal: refused', async () => {
    const book = new Map([['book.db', grown.stopped.get('book.db')!]]);
    expect(codeOf(await judge('only the book', book))).toBe('store_corrupt');
    const named = withFile(book, 'journal/journal.json', grown.stopped.get('journal/journal.json'));
    expect(codeOf(await judge('no segments', named))).toBe('store_corrupt');
  });
});

describe('the book', () => {
  test('anything in its write-ahead file costs no task', { timeout: 600_000 }, async () => {
    const log = grown.killed.get('book.db-wal')!;
    const chance = dice(7);
    const at = (below: number): number => Math.floor(chance() * below);
    const damages: ((bytes: Buffer) => Buffer | undefined)[] = [
      (bytes) => flipped(bytes, at(bytes.length), at(8)),
      (bytes) => flipped(bytes, at(32), at(8)),
      (bytes) => bytes.subarray(0, at(bytes.length)),
      (bytes) => bytes.fill(0, at(bytes.length)),
      (bytes) => bytes.fill(at(256), at(bytes.length), at(bytes.length)),
      (bytes) => Buffer.concat([bytes, bytes.subarray(at(bytes.length))]),
      () => Buffer.from('anything but a write-ahead file'),
      () => undefined,
    ];
    expect(log.length).toBeGreaterThan(8192);
    for (let round = 0; round < (stride === 1 ? 200 : 8); round++)
      for (const [number, damage] of damages.entries()) {
        const image = withFile(grown.killed, 'book.db-wal', damage(Buffer.from(log)));
        expect(codeOf(await judge(`damage ${number} in round ${round}`, image))).toBe('whole');
      }
  });

  test('a write-ahead file of an earlier or a later time than the main file is refused', {
    timeout: 600_000,
  }, async () => {
    const moments: Moment[] = (await grownStore(3, 80)).moments.filter(({ image }) => logOf(image).length > 0);
    expect(moments.length).toBeGreaterThan(20);
    let refused = 0;
    for (const [index, { image, expected }] of moments.entries())
      for (const other of [moments[(index * 7) % moments.length]!, moments[(index * 11 + 5) % moments.length]!])
        for (const name of ['book.db', 'book.db-wal']) {
          const mixed = withFile(image, name, other.image.get(name));
          const judged = await judge(`${name} of moment ${moments.indexOf(other)} in ${index}`, mixed, expected);
          const isOne = savedIn(image).equals(savedIn(other.image));
          if (isOne) continue; // one is a beginning of the other
          refused++;
          expect(codeOf(judged)).toBe('store_corrupt');
          expect((judged as StoreError).message).toMatch(/write-ahead file.*copy of another time|book/);
        }
    expect(refused).toBeGreaterThan(50);
  });

  test('a save that was cut short anywhere costs nothing', { timeout: 600_000 }, async () => {
    const { image: killed, expected } = grown.moments.toSorted(
      (a, b) => logOf(b.image).length - logOf(a.image).length,
    )[0]!;
    const [main, log] = [killed.get('book.db')!, logOf(killed)];
    const pages = new Map<number, Buffer>();
    for (let at = 32; at < log.length; at += 24 + 4096)
      pages.set(log.readUInt32BE(at), log.subarray(at + 24, at + 24 + 4096));
    expect(pages.size).toBeGreaterThan(3);
    const saved = Buffer.alloc(Math.max(main.length, 4096 * Math.max(...pages.keys())));
    main.copy(saved);
    for (const number of [...pages.keys()].sort((a, b) => a - b)) {
      const at = (number - 1) * 4096;
      for (const length of [512, 4096]) {
        pages.get(number)!.copy(saved, at, 0, length);
        const image = withFile(killed, 'book.db', Buffer.from(saved));
        expect(codeOf(await judge(`page ${number} saved, ${length} bytes of it`, image, expected))).toBe('whole');
      }
    }
  });

  test('a flipped bit in its main file is never shown; what it hides is found by reading all of it', {
    timeout: 1_200_000,
  }, async () => {
    const bytes = grown.stopped.get('book.db')!;
    let refused = 0;
    for (let at = 0; at < bytes.length; at += stride * 7) {
      const damaged = flipped(bytes, at, at % 8);
      const hidden = await judge(`byte ${at}`, withFile(grown.stopped, 'book.db', damaged)).then(
        (judged) => {
          if (judged !== 'whole') refused++;
          return undefined;
        },
        (error: Error) => error,
      );
      if (hidden === undefined) continue;
      // A key in an index: the row is not found by it any more.
      const real = new RealStore(withFile(grown.stopped, 'book.db', damaged));
      const { is_whole, findings } = await verifyStore(real.directory, { isMoving: false });
      await real.remove();
      expect(is_whole, hidden.message).toBe(false);
      expect(findings.map(({ advice }) => advice).join(), hidden.message).toContain('deye store salvage');
    }
    expect(refused).toBeGreaterThan(bytes.length / stride / 7 / 20);
  });

  test('that is cut or of zeros is refused, or missed what the journal has', { timeout: 600_000 }, async () => {
    const bytes = grown.stopped.get('book.db')!;
    let refused = 0;
    for (let at = 0; at < bytes.length; at += 4096) {
      const cut = withFile(grown.stopped, 'book.db', bytes.subarray(0, at === 0 ? 17 : at));
      if ((await judge(`cut at ${at}`, cut)) !== 'whole') refused++;
      const zeroed = withFile(grown.stopped, 'book.db', Buffer.from(bytes).fill(0, at, at + 4096));
      if ((await judge(`zeros at ${at}`, zeroed)) !== 'whole') refused++;
    }
    expect(refused).toBeGreaterThan(bytes.length / 4096);
  });
});

test('a store that is whole starts, from the same bytes, however it ended', async () => {
  for (const image of [grown.stopped, grown.killed]) expect(await outcome(image, grown.expected)).toBe('whole');
});

test.skipIf(missing(process.platform !== 'linux', '/proc'))('a start that refuses leaves no file open', async () => {
  for (const name of [segmentNames()[1]!, 'book.db']) {
    const bytes = Buffer.from(grown.stopped.get(name)!).fill(1, blockBytes, blockBytes + 50);
    if (name === 'book.db') bytes.fill(1, 0, 100);
    const real = new RealStore(withFile(grown.stopped, name, bytes));
    await expect(real.load()).rejects.toBeInstanceOf(StoreError);
    await real.store.close();
    const open = readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return readlinkSync(join('/proc/self/fd', fd));
      } catch {
        return []; // that of the directory itself, which is closed by now
      }
    });
    expect(open.filter((path) => path.startsWith(real.directory))).toEqual([]);
    await real.remove();
  }
});

test('a start that refuses changes nothing', async () => {
  const name = segmentNames()[1]!;
  const image = withFile(grown.stopped, name, flipped(grown.stopped.get(name)!, blockBytes + 5, 3));
  const real = new RealStore(image);
  await expect(real.load()).rejects.toBeInstanceOf(StoreError);
  const after = real.image;
  for (const [file, bytes] of image) expect(after.get(file)!.equals(bytes), file).toBe(true);
  expect([...after.keys()].filter((file) => !file.startsWith('book.db'))).toEqual(
    [...image.keys()].filter((file) => !file.startsWith('book.db')),
  );
  await real.remove();
});
