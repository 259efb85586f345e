/**
 * What becomes of a store whose files are removed or replaced while it is open. All of it is still in memory and in the
 * files that have lost their names, so a new store is made of that: in its place, or beside what was put there.
 */
import { existsSync, renameSync } from 'node:fs';
import { bodyDamagedError, present } from '../core/body.ts';
import type { JournalRecord, RecordOf, StoredTask } from '../core/record.ts';
import { fullRecord } from '../core/replay.ts';
import { counted } from '../text/quantity.ts';
import type { BookFeed } from './book-feed.ts';
import type { Loss } from './journal-error.ts';
import { bookIn } from './layout.ts';
import type { LiveState } from './live-state.ts';
import { buildDirectory } from './new-directory.ts';
import { type BookRecord, NewStore, resultRecord } from './new-store.ts';
import { lostPayload, type ReadBody } from './payloads.ts';
import { StoreError } from './port.ts';

/** `isWithoutPayload`: that was on the disk only, and is lost. */
type ContentRecord = { readonly isWithoutPayload?: boolean } & (
  | { readonly of: 'journal'; readonly record: JournalRecord }
  | { readonly of: 'book'; readonly record: BookRecord }
);

/** Everything that was acknowledged. What was not may be in it, too: nobody was told that it is not. */
export interface Content {
  /** What lives, the settings and the marks, and for the book what it does not have. */
  readonly records: AsyncIterable<ContentRecord>;
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
      yield { of: 'book', record: whole(task, bytes), isWithoutPayload: bytes === undefined };
      if (result !== undefined) yield { of: 'book', record: resultRecord(task, result) };
    }
    for (const key of live.upTo(Number.POSITIVE_INFINITY)) {
      const record = live.fullRecord(key);
      const bytes = record.kind === 'task' ? await payload(record.spec.id) : undefined;
      if (record.kind !== 'task') yield { of: 'journal', record };
      else if (bytes !== undefined) yield { of: 'journal', record: whole(record, bytes) };
      else {
        const dead = whole({ ...record, state: 'dead_letter', error: bodyDamagedError });
        yield { of: 'book', record: dead, isWithoutPayload: true };
      }
    }
  }
  return { epoch, records: records(), nextSeq: live.durable.nextSeq, copyBook };
}

interface Rescuing {
  /** Of the store. */
  readonly directory: string;
  /** What was found, as a sentence. */
  readonly lost: string;
  /** What was put in the place of a file is left as it is. */
  readonly how: Loss;
  readonly wallMs: number;
  readonly content: Content;
}

export async function rescue({ directory, lost, how, wallMs, content }: Rescuing): Promise<StoreError> {
  const isReplaced = how === 'replaced';
  const saved = isReplaced ? `${directory}.saved-${wallMs}` : directory;
  let withoutPayload = 0;
  try {
    if (!isReplaced && existsSync(directory)) renameSync(directory, `${directory}.removed-${wallMs}`);
    await buildDirectory(saved, async (draft) => {
      await content.copyBook(bookIn(draft));
      await using store = await NewStore.create(draft, content.epoch);
      for await (const one of content.records) {
        if (one.of === 'book') store.enter(one.record);
        else await store.add(one.record);
        if (one.isWithoutPayload === true) withoutPayload++;
      }
      await store.finish(content.nextSeq);
    });
  } catch (cause) {
    const why = `What was acknowledged could not be saved (${(cause as Error).message})`;
    return new StoreError('store_removed', `${lost} ${why}; put back a copy before the next start.`, { cause });
  }
  const all =
    withoutPayload === 0
      ? 'Everything acknowledged'
      : `Everything acknowledged, but for the payloads of ${counted(withoutPayload, 'task')} that were on the disk only,`;
  const advice = isReplaced
    ? `is in ${saved}. Start the broker again to go on with what was put there; to go on with what was acknowledged, put the saved directory in the place of ${directory} before.`
    : `is written back to ${directory}; start the broker again to go on.`;
  const older =
    how === 'moved' ? ' Start no broker on what was moved away: the same tasks are in it, as they were then.' : '';
  return new StoreError('store_removed', `${lost} ${all} ${advice}${older}`);
}
