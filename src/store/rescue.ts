/**
 * What becomes of a store whose files are removed or replaced while it is open. All of it is still in memory and in the
 * files that have lost their names, so a new store is made of that: in its place, or beside what was put there.
 */
import { existsSync, renameSync } from 'node:fs';
import type { JournalRecord } from '../core/record.ts';
import { bookIn } from './layout.ts';
import type { LiveState } from './live-state.ts';
import { buildDirectory } from './new-directory.ts';
import { NewStore } from './new-store.ts';
import { lostPayload } from './payloads.ts';
import { StoreError } from './port.ts';

/** Everything that was acknowledged. */
export interface Content {
  /** The full records of what lives. */
  readonly living: AsyncIterable<JournalRecord>;
  /** Larger than every `seq` that was ever used. */
  readonly nextSeq: number;
  /** Of the latest start. */
  readonly epoch: number;
  /** Writes the book into a new file. */
  readonly copyBook: (path: string) => Promise<void>;
}

export function contentOf(
  live: LiveState,
  read: (id: string) => Promise<Uint8Array | undefined>,
  epoch: number,
  copyBook: Content['copyBook'],
): Content {
  async function* living(): AsyncGenerator<JournalRecord> {
    for (const key of live.upTo(Number.POSITIVE_INFINITY)) {
      const record = live.fullRecord(key);
      if (record.kind !== 'task') yield record;
      else yield { ...record, spec: { ...record.spec, payload: (await read(record.spec.id)) ?? lostPayload } };
    }
  }
  return { epoch, living: living(), nextSeq: live.durable.nextSeq, copyBook };
}

/**
 * @param lost what was found, as a sentence.
 * @param isReplaced whether something else is there now: it is left as it is.
 */
export async function rescue(
  directory: string,
  lost: string,
  isReplaced: boolean,
  wallMs: number,
  content: Content,
): Promise<StoreError> {
  const saved = isReplaced ? `${directory}.saved-${wallMs}` : directory;
  try {
    if (!isReplaced && existsSync(directory)) renameSync(directory, `${directory}.removed-${wallMs}`);
    await buildDirectory(saved, async (draft) => {
      await content.copyBook(bookIn(draft));
      await using store = await NewStore.create(draft, content.epoch);
      for await (const record of content.living) await store.add(record);
      await store.finish(content.nextSeq);
    });
  } catch (cause) {
    const why = `What was acknowledged could not be saved (${(cause as Error).message})`;
    return new StoreError('store_removed', `${lost} ${why}; put back a copy before the next start.`, { cause });
  }
  const how = isReplaced
    ? `Everything acknowledged is in ${saved}. Start the broker again to go on with what was put there; to go on with what was acknowledged, put the saved directory in the place of ${directory} before.`
    : `Everything acknowledged is written back to ${directory}; start the broker again to go on.`;
  return new StoreError('store_removed', `${lost} ${how}`);
}
