/** A small store on real files, as bytes: to damage it, and to see what a start makes of it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreRecord } from '../../src/core/record.ts';
import type { Disk } from '../../src/journal/disk.ts';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { openJournal } from '../../src/journal/open.ts';
import { JournalStore } from '../../src/store/journal-store.ts';
import { StoreError } from '../../src/store/port.ts';
import { storeSizes } from '../../src/store/sizes.ts';
import { witnessesOf } from '../../src/store/witnesses.ts';
import { inlineBook } from '../book/inline-book.ts';
import { moved, submitted } from '../conformance/records.ts';
import { dice } from '../journal/history.ts';
import { difference, type Expected, expectedAfter, nothingExpected } from './expected.ts';
import { smallSizes, turn } from './twin-store.ts';

/** The files of a store, by their names below its directory. */
export type Image = ReadonlyMap<string, Buffer>;

const segmentBytes = 8 * 4096;

/** Syncs nothing: the machine does not die here. */
function unsyncedDisk(directory: string): Disk {
  const disk = fileDisk(directory);
  return {
    ...disk,
    open: async (name, { create }) => {
      const file = await disk.open(name, { create, synced: false });
      return { ...file, sync: async () => {} };
    },
    sync: async () => {},
  };
}

export class RealStore {
  readonly directory = mkdtempSync(join(tmpdir(), 'deye-real-'));
  readonly store: JournalStore;
  readonly #timers: (() => void)[] = [];

  constructor(image: Image = new Map(), seed = 1) {
    mkdirSync(join(this.directory, 'journal'));
    for (const [name, bytes] of image) writeFileSync(join(this.directory, name), bytes);
    const chance = dice(seed);
    const store: JournalStore = new JournalStore({
      book: inlineBook(join(this.directory, 'book.db')),
      openJournal: (position) =>
        openJournal({
          disk: unsyncedDisk(join(this.directory, 'journal')),
          segmentBytes,
          sync: 'batch',
          sealMs: 100,
          later: (_ms, run) => this.#timers.push(run),
          wallMs: () => 0,
          randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)),
          failed: (error) => store.fail(error),
          witnesses: witnessesOf('here', position),
        }),
      sizes: { ...storeSizes, ...smallSizes(segmentBytes) },
    });
    this.store = store;
  }

  /** The files as they are now. */
  get image(): Image {
    const names = readdirSync(this.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('-shm'))
      .map(({ parentPath, name }) => join(parentPath, name).slice(this.directory.length + 1));
    return new Map(names.sort().map((name) => [name, readFileSync(join(this.directory, name))]));
  }

  load() {
    return this.store.load({ wallMs: 2_000_000_000_000, idsAheadMax: 100 });
  }

  async remove(): Promise<void> {
    await this.store.close().catch(() => {}); // what it was damaged by may also keep it from closing
    rmSync(this.directory, { recursive: true });
  }
}

export interface Grown {
  readonly expected: Expected;
  /** After a clean stop. */
  readonly stopped: Image;
  /** As a kill leaves it, with what is in the book's write-ahead file. */
  readonly killed: Image;
  /** Some commits earlier. */
  readonly older: Image;
}

/** A store whose first segments are released, with live tasks, ended ones, attempts and settings. */
export async function grownStore(seed: number, commits = 40): Promise<Grown> {
  const real = new RealStore(new Map(), seed);
  let expected = nothingExpected;
  let older: Image = new Map();
  await real.load();
  const commit = async (records: readonly StoreRecord[]): Promise<void> => {
    await real.store.commit(records);
    expected = expectedAfter(expected, records);
    await turn();
  };
  for (let at = 1; at <= commits; at++) {
    const payload = new Uint8Array((at * 37) % 700).fill(at);
    await commit([submitted(at, `t${at}-${seed}`, { payload }), moved(at, 'in_progress', { collectorId: 'c' })]);
    const ended = { kind: 'attempt', seq: at, attempt: 1, collectorId: 'c', startedAtMs: 1, endedAtMs: 2 } as const;
    const result = at % 2 === 0 ? payload : undefined;
    if (at % 5 > 0)
      await commit([{ ...ended, outcome: 'completed', error: undefined }, moved(at, 'completed', { result })]);
    else await commit([{ kind: 'setting', namespace: 'default', key: `k${at}`, value: `v${at}` }]);
    if (at === commits - 4) older = real.image;
  }
  const killed = real.image;
  await real.store.close();
  const stopped = real.image;
  await real.remove();
  return { expected, stopped, killed, older };
}

/**
 * What a start makes of these files: it says why not, or shows everything as it was. Throws when it shows anything else, or
 * fails with what is no error of a store.
 */
export async function outcome(image: Image, expected: Expected): Promise<StoreError | 'whole'> {
  const real = new RealStore(image, 99);
  try {
    const { settings, expiredBeforeMs } = await real.load();
    const tasks = new Map();
    const all = { states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 1e6 };
    for (const { seq, spec } of await real.store.list(all)) tasks.set(seq, await real.store.show(spec.id));
    const wrong = difference(expected, { tasks, settings, expiredBeforeMs });
    if (wrong !== undefined) throw new Error(wrong);
    return 'whole';
  } catch (error) {
    if (error instanceof StoreError && error.code !== 'store_failed') return error;
    throw error;
  } finally {
    await real.remove();
  }
}

/** The same files with one that is changed, or gone. */
export function withFile(image: Image, name: string, bytes: Buffer | undefined): Image {
  const changed = new Map(image);
  if (bytes === undefined) changed.delete(name);
  else changed.set(name, bytes);
  return changed;
}

export function flipped(bytes: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1 << bit;
  return copy;
}

export const isSegment = (name: string): boolean => name.endsWith('.journal');
