/**
 * What becomes of a store whose files are removed or replaced while it is open. All of it is still in memory and in the
 * files that have lost their names, so a new store is made of that: in its place, or beside what was put there.
 */
import { existsSync, renameSync } from 'node:fs';
import { bodyDamagedError, present } from '../core/body.ts';
import type { JournalRecord, RecordOf, StoredTask } from '../core/record.ts';
import { fullRecord } from '../core/replay.ts';
import type { BookFeed } from './book-feed.ts';
import { bookIn } from './layout.ts';
import type { LiveState } from './live-state.ts';
import { buildDirectory } from './new-directory.ts';
import { type BookRecord, NewStore, resultRecord } from './new-store.ts';
import { lostPayload, type ReadBody } from './payloads.ts';
import { StoreError } from './port.ts';

/** Everything that was acknowledged. What was not may be in it, too: nobody was told that it is not. */
export interface Content {
  /** What lives, the settings and the marks, and for the book what it does not have. */
  readonly records: AsyncIterable<
    { readonly of: 'journal'; readonly record: JournalRecord } | { readonly of: 'book'; readonly record: BookRecord }
  >;
  /** Larger than every `seq` that was ever used. */
  readonly nextSeq: number;
  /** Of the latest start. */
  readonly epoch: number;
  /** Writes the book into a new file. */
  readonly copyBook: (path: string) => Promise<void>;
}

interface ContentParts extends Pick<Content, 'epoch' | 'copyBook'> {
  readonly live: LiveState;
  readonly feed: BookFeed;
  /** Of a task that lives. */
  readonly payload: (id: string) => Promise<Uint8Array | undefined>;
  readonly read: ReadBody;
}

export function contentOf({ live, feed, payload, read, epoch, copyBook }: ContentParts): Content {
  const { tasks, attempts } = feed.left; // before the book is copied: what is entered twice is there once
  const whole = (task: StoredTask, bytes: Uint8Array = lostPayload): RecordOf<'task'> =>
    fullRecord({ ...task, spec: { ...task.spec, payload: bytes } });
  async function* records(): Content['records'] {
    for (const record of attempts) yield { of: 'book', record };
    for (const task of tasks) {
      const { place, result, spec } = task;
      const bytes = place === undefined ? present(spec.payload) : await read(spec.id, place).catch(() => undefined);
      yield { of: 'book', record: whole(task, bytes) };
      if (result !== undefined) yield { of: 'book', record: resultRecord(task, result) };
    }
    for (const key of live.upTo(Number.POSITIVE_INFINITY)) {
      const record = live.fullRecord(key);
      const bytes = record.kind === 'task' ? await payload(record.spec.id) : undefined;
      if (record.kind !== 'task') yield { of: 'journal', record };
      else if (bytes !== undefined) yield { of: 'journal', record: whole(record, bytes) };
      else yield { of: 'book', record: whole({ ...record, state: 'dead_letter', error: bodyDamagedError }) };
    }
  }
  return { epoch, records: records(), nextSeq: live.durable.nextSeq, copyBook };
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
      for await (const one of content.records)
        if (one.of === 'book') store.enter(one.record);
        else await store.add(one.record);
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
