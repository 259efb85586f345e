/** What a start is told of the ids and instants that were: those of the book, of what is on its way there, and of what lives, as one. */
import type { Newest } from '../book/port.ts';
import type { StoredTask } from '../core/record.ts';
import { uuidFirst } from '../protocol/uuid-time.ts';
import type { Loaded, LoadOptions } from './port.ts';

/**
 * @param book was asked for one id more from ahead of the clock than are told one by one.
 * @param tasks those that are not in it.
 */
export function newestOf(
  book: Newest,
  tasks: Iterable<StoredTask>,
  { wallMs, idsAheadMax }: LoadOptions,
): Pick<Loaded, 'newestId' | 'newestAtMs' | 'idsAhead'> {
  const ahead = uuidFirst(wallMs + 1);
  let { id: newestId, endedAtMs: newestAtMs } = book;
  const idsAhead = [...book.idsAhead];
  for (const { spec, atMs } of tasks) {
    if (spec.id >= ahead) idsAhead.push(spec.id);
    else if (newestId === undefined || spec.id > newestId) newestId = spec.id;
    newestAtMs = Math.max(newestAtMs ?? 0, atMs);
  }
  // Too many to be told one by one: then the newest of them is where every look-up begins.
  if (idsAhead.length > idsAheadMax) newestId = idsAhead.splice(0).sort().at(-1);
  return { newestId, newestAtMs, idsAhead };
}
