/** The journal read back at the start: what lives is folded, and what the book does not have yet goes on to it. */
import { Reader } from '../core/bytes.ts';
import { readRecord } from '../core/record-bytes.ts';
import type { Journal } from '../journal/port.ts';
import type { BookFeed } from './book-feed.ts';
import type { LiveState } from './live-state.ts';
import type { RecoveryReport } from './recovery-report.ts';

interface ReplayParts {
  readonly journal: Journal;
  readonly live: LiveState;
  readonly feed: BookFeed;
  readonly report: RecoveryReport;
  /** The last batch in the book. */
  readonly inBook: number;
}

export async function replayJournal({ journal, live, feed, report, inBook }: ReplayParts): Promise<void> {
  const { first, last, storeId } = journal;
  for await (const { sequence, epoch, crc, body } of journal.read(first)) {
    report.folding(sequence, first, last.sequence);
    const isNew = sequence > inBook;
    for (const reader = new Reader(body); !reader.done; ) {
      const record = readRecord(reader);
      live.foldRead(record, { batch: sequence, end: reader.at }, isNew ? feed : undefined);
    }
    if (!isNew) continue;
    report.behind();
    feed.cut(body.length)({ storeId, epoch, sequence, crc });
    await feed.room();
  }
}
