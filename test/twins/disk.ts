/**
 * The twin of a disk: what is written stands in a cache of sectors of 512 bytes until it is synced. A kill keeps the
 * cache; a power failure keeps any part of what was not synced, sector by sector, and any run of the directory's changes.
 */
import { type Disk, type DiskFile, DiskFullError } from '../../src/journal/disk.ts';

const sectorBytes = 512;

interface TwinFile {
  cache: Uint8Array;
  durable: Uint8Array;
  /** Sectors whose cache differs from what is durable. */
  readonly dirty: Set<number>;
}

interface DirectoryChange {
  readonly name: string;
  /** Undefined: the name goes away. */
  readonly file: TwinFile | undefined;
}

/** Whoever worked on the disk is gone. */
export class GoneError extends Error {}

export interface DiskTwinNature {
  /** Called before every piece of work, with a word for what it is; may throw a GoneError. */
  readonly tick: (work: string) => void;
  /** Between 0 and 1. */
  readonly chance: () => number;
  /** Bytes that all files together may have. */
  readonly capacity?: number;
}

export class DiskTwin {
  #names = new Map<string, TwinFile>();
  #durableNames = new Map<string, TwinFile>();
  /** Each element takes effect as a whole: a rename is one. */
  #changes: DirectoryChange[][] = [];
  #generation = 0;
  /** Written and synced so far; counted for tests. */
  writes = 0;
  syncs = 0;

  /** The files as one process sees them, until it dies. */
  attach(nature: DiskTwinNature): Disk {
    const generation = ++this.#generation;
    const tick = (work: string): void => {
      if (generation !== this.#generation) throw new GoneError();
      nature.tick(work);
    };
    return {
      names: async () => [...this.#names.keys()],
      // A quota may end before what the disk says is free.
      free: async () =>
        nature.capacity === undefined || nature.chance() < 0.5 ? Infinity : nature.capacity - this.#usedBytes,
      open: async (name, { create, synced }) => {
        tick(`open ${name}`);
        if (create)
          this.#change({ name, file: { cache: new Uint8Array(0), durable: new Uint8Array(0), dirty: new Set() } });
        const file = this.#names.get(name);
        if (file === undefined) throw new Error(`no file ${name}`);
        return this.#open(file, synced, tick, nature);
      },
      rename: async (from, to) => {
        tick(`rename ${from}`);
        const file = this.#names.get(from);
        if (file === undefined) throw new Error(`no file ${from}`);
        if (from === to) return;
        this.#change({ name: to, file }, { name: from, file: undefined });
      },
      remove: async (name) => {
        tick(`remove ${name}`);
        this.#change({ name, file: undefined });
      },
      sync: async () => {
        tick('sync directory');
        this.#durableNames = new Map(this.#names);
        this.#changes = [];
      },
    };
  }

  #change(...changes: DirectoryChange[]): void {
    for (const change of changes) apply(this.#names, change);
    this.#changes.push(changes);
  }

  #open(file: TwinFile, synced: boolean, tick: (work: string) => void, nature: DiskTwinNature): DiskFile {
    const sync = (sectors: Iterable<number>): void => {
      if (file.durable.length < file.cache.length) file.durable = extended(file.durable, file.cache.length);
      for (const sector of sectors) {
        copySector(file.cache, file.durable, sector);
        file.dirty.delete(sector);
      }
      this.syncs++;
    };
    return {
      size: async () => file.cache.length,
      at: (name) => (this.#names.get(name) === file ? 'there' : this.#names.has(name) ? 'replaced' : 'removed'),
      read: async (into, position) => {
        tick('read');
        const bytes = file.cache.subarray(position, position + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: async (parts, position) => {
        const bytes = Buffer.concat(parts);
        const end = position + bytes.length;
        const grows = Math.max(0, end - file.cache.length);
        if (grows > 0 && this.#usedBytes + grows > (nature.capacity ?? Number.POSITIVE_INFINITY))
          throw new DiskFullError('no space left');
        if (grows > 0) file.cache = extended(file.cache, end);
        // The process may die between any two sectors.
        for (let at = 0; at < bytes.length; ) {
          if (at % (4 * sectorBytes) === 0) tick('write');
          const next = Math.min(bytes.length, (Math.floor((position + at) / sectorBytes) + 1) * sectorBytes - position);
          file.cache.set(bytes.subarray(at, next), position + at);
          file.dirty.add(Math.floor((position + at) / sectorBytes));
          at = next;
        }
        this.writes++;
        if (synced) {
          tick('written, not synced');
          // What was written before, by a process that was killed, stays where it is: as with O_DSYNC.
          sync(sectorsOf(position, end));
        }
        tick('written');
      },
      sync: async () => {
        tick('sync');
        sync([...file.dirty]);
        tick('synced');
      },
      close: async () => {},
    };
  }

  get #usedBytes(): number {
    let bytes = 0;
    for (const { cache } of this.#names.values()) bytes += cache.length;
    return bytes;
  }

  /** The process is gone; the machine goes on. */
  kill(): void {
    this.#generation++;
  }

  /** The power is gone: of what was not synced anything may be left. */
  cutPower(chance: () => number): void {
    this.kill();
    const share = [0, 0.3, 0.5, 0.8, 1][Math.floor(chance() * 5)]!;
    for (const changes of this.#changes)
      if (chance() < 0.5) for (const change of changes) apply(this.#durableNames, change);
    this.#changes = [];
    this.#names = new Map(this.#durableNames);
    for (const file of new Set(this.#names.values())) {
      for (const sector of file.dirty)
        if (chance() < share) {
          file.durable = extended(file.durable, Math.min((sector + 1) * sectorBytes, file.cache.length));
          copySector(file.cache, file.durable, sector);
        }
      file.dirty.clear();
      file.cache = file.durable.slice();
    }
  }

  /** For tests that damage: the bytes of a file, cached and durable alike when changed through `damage`. */
  bytes(name: string): Uint8Array {
    return this.#names.get(name)!.cache;
  }

  get names(): string[] {
    return [...this.#names.keys()].sort();
  }

  damage(name: string, change: (bytes: Uint8Array) => Uint8Array | undefined): void {
    const file = this.#names.get(name)!;
    const changed = change(file.cache.slice());
    if (changed === undefined) {
      this.#names.delete(name);
      this.#durableNames.delete(name);
      return;
    }
    file.dirty.clear();
    file.cache = changed;
    file.durable = changed.slice();
  }
}

function apply(names: Map<string, TwinFile>, { name, file }: DirectoryChange): void {
  if (file === undefined) names.delete(name);
  else names.set(name, file);
}

function* sectorsOf(start: number, end: number): Generator<number> {
  for (let sector = Math.floor(start / sectorBytes); sector * sectorBytes < end; sector++) yield sector;
}

function extended(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}

function copySector(from: Uint8Array, to: Uint8Array, sector: number): void {
  const [start, end] = [sector * sectorBytes, Math.min((sector + 1) * sectorBytes, from.length)];
  to.set(from.subarray(start, end), start);
}
