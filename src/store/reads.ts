/** Tasks as they are shown: what is in memory, then what is in the book, united by id; memory wins. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Book } from '../book/port.ts';
import type { AttemptRecord, StoredTask } from '../core/record.ts';
import type { TaskState } from '../protocol/state.ts';
import type { BookFeed } from './book-feed.ts';
import { fits, listed, shownInList } from './listing.ts';
import type { LiveState } from './live-state.ts';
import { lostPayload, type Payloads, type ReadBody } from './payloads.ts';
import type { StoredDetail, TaskFilter } from './port.ts';

/** Looked at in one turn of the event loop. */
const sliceTasks = 10_000;

interface ReadsParts {
  readonly book: Book;
  readonly live: LiveState;
  readonly payloads: Payloads;
  readonly feed: BookFeed;
  readonly read: ReadBody;
}

/** As the store's port says. */
export class Reads {
  readonly #book: Book;
  readonly #live: LiveState;
  readonly #payloads: Payloads;
  readonly #feed: BookFeed;
  readonly #read: ReadBody;

  constructor({ book, live, payloads, feed, read }: ReadsParts) {
    this.#book = book;
    this.#live = live;
    this.#payloads = payloads;
    this.#feed = feed;
    this.#read = read;
  }

  async show(id: string): Promise<StoredDetail | undefined> {
    const live = this.#live.task(id);
    const recent = this.#feed.byId.get(id);
    const task = live === undefined ? recent : { ...live, result: undefined };
    if (task === undefined) return this.#book.show(id);
    const place = live === undefined ? recent!.place : this.#payloads.place(live.seq);
    const payload = place === undefined ? task.spec.payload : ((await this.#read(id, place)) ?? lostPayload);
    const { result } = task;
    const attempts = await this.#attempts(task);
    return { ...task, spec: { ...task.spec, payload }, result, attempts };
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>> {
    const found = new Map<string, TaskState>();
    const unknown: string[] = [];
    for (const id of ids) {
      const task = this.#live.task(id) ?? this.#feed.byId.get(id);
      if (task === undefined) unknown.push(id);
      else found.set(id, task.state);
    }
    if (unknown.length === 0) return found;
    return new Map([...found, ...(await this.#book.states(unknown))]);
  }

  /** In slices, since there may be a million and none that fits. */
  async #listLive(filter: TaskFilter): Promise<StoredTask[]> {
    const fitting: StoredTask[] = [];
    let seen = 0;
    for (const task of this.#live.newest(filter.beforeSeq ?? Number.POSITIVE_INFINITY)) {
      if (++seen % sliceTasks === 0) await nextTurn();
      if (task === undefined || !fits(task, filter)) continue;
      fitting.push(shownInList(task));
      if (fitting.length === filter.limit) break;
    }
    return fitting;
  }

  async list(filter: TaskFilter): Promise<readonly StoredTask[]> {
    // What lives, what has ended, then the book: what moves on meanwhile is seen twice, never not at all.
    const live = await this.#listLive(filter);
    const memory = [...live, ...listed(this.#feed.tasks.values(), filter)];
    const found = new Map((await this.#book.list(filter)).map((task) => [task.seq, task]));
    for (const task of memory) found.set(task.seq, task);
    return [...found.values()].sort((a, b) => b.seq - a.seq).slice(0, filter.limit);
  }

  /** Those that had ended when the task was as it is given. */
  async #attempts({ seq, attempt: latest, state }: StoredTask): Promise<readonly AttemptRecord[]> {
    const recent = [...(this.#feed.attemptsOf(seq) ?? [])];
    const byNumber = new Map((await this.#book.attempts(seq)).map((attempt) => [attempt.attempt, attempt]));
    for (const attempt of recent) byNumber.set(attempt.attempt, attempt);
    const ended = state === 'in_progress' ? latest - 1 : latest;
    return [...byNumber.values()].filter(({ attempt }) => attempt <= ended).sort((a, b) => a.attempt - b.attempt);
  }
}
