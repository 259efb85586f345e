/** What a store holds, and how far each part of it has come. */
import { statSync } from 'node:fs';
import type { Book } from '../book/port.ts';
import { Reader } from '../core/bytes.ts';
import { readRecord } from '../core/record-bytes.ts';
import type { Journal } from '../journal/port.ts';
import type { Sync } from '../protocol/schema.ts';
import type { StoreStatus } from '../protocol/store-methods.ts';
import type { BookFeed } from './book-feed.ts';
import { explainPart } from './journal-error.ts';
import { bookIn } from './layout.ts';
import { LiveState } from './live-state.ts';
import { openParts } from './parts.ts';
import { Payloads } from './payloads.ts';
import type { Room } from './port.ts';
import type { Progress } from './progress.ts';
import { soundRun } from './refuse-damaged.ts';

export interface StatusParts {
  readonly directory: string | undefined;
  readonly sync: Sync;
  readonly journal: Journal;
  readonly live: LiveState;
  readonly payloads: Payloads;
  readonly feed: BookFeed;
  readonly book: Book;
  readonly room: () => Room;
}

export async function statusOf(parts: StatusParts): Promise<StoreStatus> {
  const { directory, sync, journal, live, payloads, feed, room } = parts;
  const book = await parts.book.size();
  const { space } = journal;
  return {
    engine: 'journal',
    ...(directory === undefined ? {} : { directory }),
    sync,
    is_full: room().full,
    store_id: journal.storeId,
    epoch: journal.epoch,
    live_tasks: live.durable.tasks.size,
    payloads: { bytes_in_memory: payloads.bytesInMemory, count_on_disk: payloads.countOnDisk },
    journal: {
      bytes_used: space.usedBytes,
      bytes_ready: space.readyBytes,
      bytes_alive: Math.min(live.bytes, space.usedBytes),
      segments: space.segments,
      first_sequence: journal.first,
      last_sequence: journal.last.sequence,
      synced_sequence: journal.synced.sequence,
      held_from: Object.fromEntries(journal.holds),
    },
    book: {
      sequence: feed.applied,
      behind_batches: Math.max(0, journal.last.sequence - feed.applied),
      bytes: book.bytes,
      ended_tasks: book.tasks,
    },
  };
}

/** From the files of a store that nobody writes to; changes nothing. Rejects with what a start would refuse. */
export async function statusAtRest(directory: string, progress?: Progress): Promise<StoreStatus> {
  await using parts = await openParts(directory, false, progress);
  const { book, position, survey } = parts;
  const run = soundRun(directory, parts);
  const payloads = new Payloads(0);
  const live = new LiveState(payloads);
  for await (const { batch, body } of survey.bodies(run.batches))
    if (batch.kind === 'records') foldBody(live, batch.sequence, body);
  const used = new Set([run.segment, ...run.batches.map(({ segment }) => segment)]);
  const segments = survey.segments.filter(({ number }) => used.has(number));
  const bytesUsed = bytesOf(segments);
  const first = run.batches.find(({ batch }) => batch.kind === 'records')?.batch.sequence;
  return {
    engine: 'journal',
    directory,
    is_full: false,
    store_id: Buffer.from(survey.storeId).toString('hex'),
    epoch: run.epoch,
    live_tasks: live.durable.tasks.size,
    payloads: { bytes_in_memory: 0, count_on_disk: payloads.countOnDisk },
    journal: {
      bytes_used: bytesUsed,
      bytes_ready: bytesOf(survey.segments) - bytesUsed,
      bytes_alive: Math.min(live.bytes, bytesUsed),
      segments: segments.length,
      first_sequence: first ?? run.sequence + 1,
      last_sequence: run.sequence,
      synced_sequence: run.sequence,
      held_from: {},
    },
    book: {
      sequence: position?.sequence ?? 0,
      behind_batches: run.sequence - (position?.sequence ?? 0),
      bytes: statSync(bookIn(directory), { throwIfNoEntry: false })?.size ?? 0,
      ended_tasks: book?.count ?? 0,
    },
  };
}

const bytesOf = (segments: readonly { readonly bytes: number }[]): number =>
  segments.reduce((sum, { bytes }) => sum + bytes, 0);

function foldBody(live: LiveState, batch: number, body: Uint8Array): void {
  try {
    for (const reader = new Reader(body); !reader.done; ) {
      const record = readRecord(reader);
      live.foldRead(record, { batch, end: reader.at }, undefined);
    }
  } catch (error) {
    throw explainPart(error as Error);
  }
}
