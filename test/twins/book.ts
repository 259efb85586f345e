/**
 * The twin of the book: what is applied stands in a write-ahead file until a checkpoint takes it into the main file. A kill
 * keeps both; a power failure cuts the write-ahead file behind any transaction that was not synced.
 */
import { expect } from 'vitest';
import { BookError } from '../../src/book/error.ts';
import type { Book, BookPosition, EndedFilter, EndedTask, Expiry, Newest, Shrunk } from '../../src/book/port.ts';
import { Reader } from '../../src/core/bytes.ts';
import type { Expired } from '../../src/core/expire.ts';
import type { AttemptRecord, StoredTask } from '../../src/core/record.ts';
import { readRecord } from '../../src/core/record-bytes.ts';
import { keptFromMs } from '../../src/core/replay.ts';
import { isEnded, type TaskState } from '../../src/protocol/state.ts';
import { afterIds, uuidFirst } from '../../src/protocol/uuid-time.ts';
import { GoneError } from './disk.ts';

export interface BookTwinNature {
  /** Called before every piece of work, with a word for what it is; may throw a GoneError. */
  readonly tick: (work: string) => void;
  /** Resolves when such work may begin; at once, when there is none. */
  readonly wait?: () => Promise<void>;
  /** Whether there is no space for what is to be applied or saved now. */
  readonly isFull?: () => boolean;
}

interface Rows {
  readonly tasks: Map<number, StoredTask>;
  /** By `seq`. */
  readonly results: Map<number, Uint8Array>;
  /** By `seq`, then by number. */
  readonly attempts: Map<number, ReadonlyMap<number, AttemptRecord>>;
  /** Whatever became of it. */
  readonly endedAtMs: number | undefined;
  /** Pages that deletions left. */
  readonly free: number;
  readonly position: BookPosition | undefined;
}

const pageBytes = 4096;
/** Most pages of one slice of giving space back. */
const shrinkPages = 100;
const noBytes = new Uint8Array(0);
const noRows: Rows = {
  ...{ tasks: new Map(), results: new Map(), attempts: new Map() },
  ...{ endedAtMs: undefined, free: 0, position: undefined },
};

export class BookTwin {
  /** The main file. */
  #main = noRows;
  /** The write-ahead file: what each transaction left. */
  #log: Rows[] = [];
  /** So many of them are synced. */
  #synced = 0;
  #generation = 0;
  /** Checkpoints so far; counted for tests. */
  checkpoints = 0;

  /** The book as one process sees it, until it dies. */
  attach(nature: BookTwinNature = { tick: () => {} }): Book {
    const generation = ++this.#generation;
    const tick = (work: string): void => {
      if (generation !== this.#generation) throw new GoneError();
      nature.tick(`book: ${work}`);
    };
    const work = async <T>(name: string, run: () => T): Promise<T> => {
      await nature.wait?.();
      tick(name);
      return run();
    };
    const read = <T>(name: string, run: (rows: Rows) => T): Promise<T> => work(name, () => run(this.rows));
    const refuseFull = (): void => {
      if (nature.isFull?.()) throw new BookError('book_full', 'The disk under the book is full.');
    };
    return {
      open: () => read('open', ({ position }) => position),
      apply: (records, position) =>
        work('apply', () => {
          refuseFull();
          this.#log.push(applied(this.rows, records, position));
          tick('applied');
          return this.#unsavedBytes;
        }),
      checkpoint: () =>
        work('checkpoint', () => {
          this.#synced = this.#log.length;
          tick('write-ahead file synced');
          this.#main = this.rows;
          tick('main file synced');
          this.#log = [];
          this.#synced = 0;
          this.checkpoints++;
          tick('checkpoint done');
          return this.#main.position;
        }),
      show: (id) => read('show', (rows) => shown(rows, id)),
      attempts: (seq) => read('attempts', (rows) => attemptsOf(rows, seq)),
      states: (ids) => read('states', ({ tasks }) => statesOf(tasks, ids)),
      list: (filter) => read('list', ({ tasks }) => listed(tasks, filter)),
      expired: (expiry) => read('expired', (rows) => expired(rows, expiry)),
      shrink: (isAll) =>
        work('shrink', () => {
          refuseFull();
          return this.#shrink(isAll ? Number.POSITIVE_INFINITY : shrinkPages);
        }),
      newest: (wallMs, idsAheadMax) => read('newest', (rows) => newest(rows, wallMs, idsAheadMax)),
      size: () => read('size', ({ tasks }) => ({ bytes: 0, tasks: tasks.size })),
      check: async () => {},
      copyTo: async () => expect.unreachable('a twin has no file'),
      close: async () => {},
    };
  }

  /** Each transaction takes a page at least. */
  get #unsavedBytes(): number {
    return this.#log.length * pageBytes;
  }

  #shrink(pages: number): Shrunk {
    const free = Math.max(0, this.rows.free - pages);
    if (free < this.rows.free) this.#log.push({ ...this.rows, free });
    return { isMore: free > 0, unsavedBytes: this.#unsavedBytes };
  }

  /** What is in the book now. */
  get rows(): Rows {
    return this.#log.at(-1) ?? this.#main;
  }

  /** The process is gone; the machine goes on. */
  kill(): void {
    this.#generation++;
  }

  cutPower(chance: () => number): void {
    this.kill();
    const kept = this.#synced + Math.floor(chance() * (this.#log.length - this.#synced + 1));
    this.#log = this.#log.slice(0, kept);
    this.#synced = kept;
  }

  /** A copy of all of it, as it stands now. */
  copy(): BookTwin {
    const twin = new BookTwin();
    twin.#main = this.rows;
    return twin;
  }
}

function applied(before: Rows, bytes: Uint8Array, position: BookPosition): Rows {
  const [tasks, results, attempts] = [new Map(before.tasks), new Map(before.results), new Map(before.attempts)];
  let { endedAtMs, free } = before;
  const trim = (seq: number): void => {
    const task = tasks.get(seq);
    if (task === undefined) return;
    free += Math.ceil(bodyBytes({ results }, task) / pageBytes);
    tasks.set(seq, { ...task, spec: { ...task.spec, payload: noBytes } });
    results.delete(seq);
  };
  const remove = (seq: number): void => {
    trim(seq);
    if (tasks.delete(seq)) free++;
  };
  for (const reader = new Reader(bytes); !reader.done; ) {
    const record = readRecord(reader);
    switch (record.kind) {
      case 'task': {
        const { kind: _, ...task } = record;
        remove(task.seq);
        if (!isEnded(task.state)) break;
        for (const { spec } of tasks.values())
          if (spec.id === task.spec.id)
            throw new BookError('book_failed', `There is a row of task ${spec.id} already.`);
        tasks.set(task.seq, task);
        endedAtMs = Math.max(endedAtMs ?? 0, task.atMs);
        break;
      }
      case 'moved':
        if (record.result !== undefined && record.result.length > 0) results.set(record.seq, record.result);
        break;
      case 'attempt': {
        const { kind: _, seq, ...attempt } = record;
        attempts.set(seq, new Map([...(attempts.get(seq) ?? []), [attempt.attempt, attempt]]));
        break;
      }
      case 'purged':
        for (const seq of record.seqs) {
          remove(seq);
          attempts.delete(seq);
        }
        break;
      case 'trimmed':
        for (const seq of record.seqs) trim(seq);
        break;
      default:
        throw new BookError('book_failed', `a ${record.kind} is nothing for the book`);
    }
  }
  return { tasks, results, attempts, endedAtMs, free, position };
}

const attemptsOf = ({ attempts }: Rows, seq: number): AttemptRecord[] =>
  [...(attempts.get(seq)?.values() ?? [])].sort((a, b) => a.attempt - b.attempt);

function shown(rows: Rows, id: string): EndedTask | undefined {
  const task = [...rows.tasks.values()].find(({ spec }) => spec.id === id);
  if (task === undefined) return undefined;
  return { ...task, attempts: attemptsOf(rows, task.seq), result: rows.results.get(task.seq) };
}

const statesOf = (tasks: Rows['tasks'], ids: readonly string[]): Map<string, TaskState> =>
  new Map([...tasks.values()].filter(({ spec }) => ids.includes(spec.id)).map(({ spec, state }) => [spec.id, state]));

const listed = (
  tasks: Rows['tasks'],
  { states, operation, collectorId, beforeSeq, limit }: EndedFilter,
): StoredTask[] =>
  [...tasks.values()]
    .filter((task) => states.length === 0 || states.includes(task.state))
    .filter(({ spec }) => operation === undefined || spec.operation === operation)
    .filter((task) => collectorId === undefined || task.collectorId === collectorId)
    .filter(({ seq }) => beforeSeq === undefined || seq < beforeSeq)
    .sort((a, b) => b.seq - a.seq)
    .slice(0, limit)
    .map((task) => ({ ...task, spec: { ...task.spec, payload: noBytes } }));

const bodyBytes = ({ results }: Pick<Rows, 'results'>, { seq, spec }: StoredTask): number =>
  spec.payload.length + (results.get(seq)?.length ?? 0);

function expired(rows: Rows, { beforeMs, deadLettersBeforeMs, tasksMax, bytesMax, wallMs, limit }: Expiry): Expired {
  const isDead = ({ state }: StoredTask): boolean => state === 'dead_letter';
  const oldest = [...rows.tasks.values()].sort((a, b) => keptFromMs(a) - keptFromMs(b) || a.seq - b.seq);
  const lastDead = [...oldest.filter((task) => !isDead(task)), ...oldest.filter(isDead)];
  let found = oldest.filter((task) => keptFromMs(task) < (isDead(task) ? deadLettersBeforeMs : beforeMs));
  if (found.length === 0) found = lastDead.slice(0, Math.max(0, oldest.length - tasksMax));
  found = found.slice(0, limit);
  const ids = found.map(({ spec }) => spec.id);
  let over = oldest.reduce((sum, task) => sum + bodyBytes(rows, task), 0) - bytesMax;
  const bodies: number[] = [];
  for (const task of found.length > 0 ? [] : lastDead) {
    const bytes = bodyBytes(rows, task);
    if (over <= 0 || bodies.length === limit) break;
    if (bytes > 0) bodies.push(task.seq);
    over -= bytes;
  }
  return { tasks: found.map(({ seq }) => seq), bodies, beforeMs: afterIds(ids, wallMs) };
}

function newest({ tasks, endedAtMs }: Rows, wallMs: number, idsAheadMax: number): Newest {
  const ahead = uuidFirst(wallMs + 1);
  const all = [...tasks.values()];
  const ids = all.map(({ spec }) => spec.id).sort();
  return {
    id: ids.findLast((id) => id < ahead),
    idsAhead: ids
      .filter((id) => id >= ahead)
      .reverse()
      .slice(0, idsAheadMax),
    endedAtMs,
    seq: Math.max(0, ...all.map(({ seq }) => seq)),
  };
}
