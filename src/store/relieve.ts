/**
 * What a store does about a full disk by itself, where no commit comes any more to let anything go: the book is saved, which
 * gives its write-ahead file back, and what nobody needs is released.
 */
import type { CompactParts } from './compact.ts';
import { isTooLarge, wantedBytes } from './journal-size.ts';

/** Of a batch that writes again what lives. */
const batchBytes = 1024 * 1024;
/** Of a batch without records, and more than that. */
const emptyBytes = 16 * 1024;

/** Call now and then while the disk is full, and no commit is under way. */
export async function relieve(parts: CompactParts): Promise<void> {
  const { feed, journal } = parts;
  await feed.save();
  await letGo(parts);
  if (journal.space.full && feed.needed > journal.space.olderLast && isTooLarge(parts)) {
    await journal.trim(wantedBytes(parts)); // what is made ready is as large as the journal, else
    if (await journal.turn()) await letGo(parts);
  }
  if (!feed.full) return;
  await journal.trim(); // a segment that was released is kept for the journal, else
  await feed.retry();
}

/** Releases the oldest segments, one after the other, and what lives in them goes to the newest where that gains something. */
async function letGo(parts: CompactParts): Promise<void> {
  const { journal, live, feed, room, append } = parts;
  const end = journal.last.sequence;
  for (let before = -1; before !== journal.first; ) {
    before = journal.first;
    const { oldestLast } = journal.space;
    const isHeld = [...journal.holds].some(([name, from]) => name !== 'store' && from <= oldestLast);
    if (oldestLast === 0 || oldestLast > end || isHeld || feed.needed <= oldestLast) return;
    const lives = live.oldest !== undefined && live.oldest.batch <= oldestLast;
    if (lives && !isTooLarge(parts)) return;
    // The first lets go, or writes again what holds the segment; the last states the floor.
    for (let stuck = 0; stuck < 2 && journal.first === before; stuck++) {
      if (room().bytes < 2 * emptyBytes) await journal.makeRoom(2 * emptyBytes);
      const bytes = Math.min(batchBytes, room().bytes / 2);
      if (bytes < emptyBytes) return;
      const { oldest } = live;
      await append({ upTo: oldestLast, most: bytes });
      if (live.oldest?.key !== oldest?.key) stuck = 0;
    }
  }
}
