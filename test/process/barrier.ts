/**
 * Holds a broker's system calls against its promise: nothing about a task leaves on a socket before the journal's write
 * that holds the task, and the sync of it, have returned. A task is recognised by its id, which stands as text in both.
 */
import type { SystemCall } from './system-calls.ts';

export interface Seen {
  /** Places in the order of calls; undefined: never. */
  readonly written: number | undefined;
  readonly synced: number | undefined;
  /** The segment it is written to. */
  readonly segment: string | undefined;
  /** From the end of the write to the end of its sync. */
  readonly syncedAfterMs: number | undefined;
  /** The first write to a socket that holds it. */
  readonly answered: number | undefined;
}

export const isSegment = (path: string): boolean => /\/journal\/\d{12}\.journal$/.test(path);
const isSync = ({ name }: SystemCall): boolean => name === 'fsync' || name === 'fdatasync';

export function seenOf(calls: readonly SystemCall[], ids: Iterable<string>): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const synced = syncedFiles(calls);
  const segmentWrites = calls.filter(({ name, path }) => name.startsWith('pwrite') && isSegment(path));
  const socketWrites = calls.filter(({ path }) => path.startsWith('socket:'));
  const syncs = calls.filter((call) => isSync(call) && isSegment(call.path) && call.result === 0);
  for (const id of ids) {
    const text = Buffer.from(id);
    const write = segmentWrites.find(({ bytes, result = 0 }) => bytes.subarray(0, Math.max(0, result)).includes(text));
    const written = write?.returned;
    const answered = socketWrites.find(({ bytes }) => bytes.includes(text))?.entered;
    const sync =
      write === undefined || written === undefined
        ? undefined
        : synced.has(write)
          ? write
          : syncs.find(({ fd, entered }) => fd === write.fd && entered > written);
    const syncedAfterMs = sync === undefined ? undefined : sync.returnedAtMs! - write!.returnedAtMs!;
    seen.set(id, { written, synced: sync?.returned, segment: write?.path, syncedAfterMs, answered });
  }
  return seen;
}

/** Writes that are durable when they return: those to descriptors that were opened so. */
function syncedFiles(calls: readonly SystemCall[]): ReadonlySet<SystemCall> {
  const fds = new Set<number>();
  const durable = new Set<SystemCall>();
  // What returns first has the descriptor first.
  const opens = calls.filter(({ name, returned }) => name === 'openat' && returned !== undefined);
  opens.sort((a, b) => a.returned! - b.returned!);
  let next = 0;
  for (const call of calls) {
    for (let open = opens[next]; open !== undefined && open.returned! < call.entered; open = opens[++next]) {
      if (open.args.includes('O_DSYNC')) fds.add(open.result!);
      else fds.delete(open.result!);
    }
    if (fds.has(call.fd)) durable.add(call);
  }
  return durable;
}

/** Ids about which something left too early: before its write, or, unless only `written` is promised, before its sync. */
export const earlyAnswers = (seen: ReadonlyMap<string, Seen>, promised: 'written' | 'synced' = 'synced'): string[] =>
  [...seen].flatMap(([id, one]) => {
    const { [promised]: done, answered } = one;
    return answered !== undefined && (done === undefined || answered < done) ? [id] : [];
  });
