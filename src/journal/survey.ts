/** A journal as it lies on the disk: what a look at its files finds, before anything is decided or changed. */
import type { Disk, DiskFile } from './disk.ts';
import { blockBytes, readBatch } from './header.ts';
import { identityOfSegments, readIdentity } from './identity.ts';
import type { FoundBatch } from './recovery.ts';
import { readAll, type ScannedSegment, scanSegments, segmentNumber } from './scan.ts';

/** A whole batch, and where it stands. */
export interface PlacedBatch {
  readonly segment: number;
  readonly batch: FoundBatch;
}

export interface Survey extends AsyncDisposable {
  readonly storeId: Uint8Array;
  /** Whether the store's own file says so, too. */
  readonly hasIdentity: boolean;
  readonly segments: readonly ScannedSegment[];
  /** The bodies of batches that were found. Rejects with a RangeError when one has changed since. */
  bodies(of: readonly PlacedBatch[]): AsyncGenerator<PlacedBatch & { readonly body: Uint8Array }>;
}

/** Undefined when there is no journal. `each` is called before a segment is read. */
export async function surveyJournal(disk: Disk, each: (done: number, all: number) => void = () => {}) {
  const handles = new Map<number, DiskFile>();
  const close = async (): Promise<void> => {
    for (const file of handles.values()) await file.close();
  };
  try {
    for (const name of await disk.names()) {
      const number = segmentNumber(name);
      const file = number === undefined ? undefined : await openIfThere(disk, name);
      if (file !== undefined) handles.set(number!, file);
    }
    const written = await readIdentity(disk);
    const identity = written ?? (await identityOfSegments(handles));
    if (identity === undefined) return undefined;
    let done = 0;
    const watched = [...handles].map(
      ([number, file]) => [number, watch(file, () => each(done++, handles.size))] as const,
    );
    const { storeId, firstSalt } = identity;
    const segments = await scanSegments(new Map(watched), storeId, firstSalt);
    const bodies = (of: readonly PlacedBatch[]) => readBodies(of, segments, handles, storeId);
    return {
      storeId,
      hasIdentity: written !== undefined,
      segments,
      bodies,
      [Symbol.asyncDispose]: close,
    } satisfies Survey;
  } catch (error) {
    await close();
    throw error;
  }
}

/** A file that nothing needs any more gets another name while its journal is written to. */
async function openIfThere(disk: Disk, name: string): Promise<DiskFile | undefined> {
  try {
    return await disk.open(name, { create: false, synced: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const watch = (file: DiskFile, read: () => void): DiskFile => ({
  ...file,
  read(into, position) {
    read();
    return file.read(into, position);
  },
});

async function* readBodies(
  of: readonly PlacedBatch[],
  segments: readonly ScannedSegment[],
  handles: ReadonlyMap<number, DiskFile>,
  storeId: Uint8Array,
): AsyncGenerator<PlacedBatch & { readonly body: Uint8Array }> {
  let loaded: { readonly number: number; readonly bytes: Uint8Array } | undefined;
  for (const { segment, batch } of of) {
    if (loaded?.number !== segment) loaded = { number: segment, bytes: await readAll(handles.get(segment)!) };
    const { salt } = segments.find(({ number }) => number === segment)!;
    const found = readBatch(loaded.bytes, batch.block * blockBytes, salt!, storeId);
    if (found?.crc !== batch.crc) throw new RangeError(`batch ${batch.sequence} has changed since it was found`);
    yield { segment, batch, body: found.body };
  }
}
