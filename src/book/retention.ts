/**
 * What of the book is kept no longer, found in slices. Deleting costs by the pages that it touches: some for each task, and
 * those of its bodies; a slice is measured in these.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Expired } from '../core/expire.ts';
import { endedStates, type TaskState } from '../protocol/state.ts';
import { afterIds } from '../protocol/uuid-time.ts';
import type { Expiry } from './port.ts';
import { bodyBytesSql, pageBytes, pagesOf } from './schema.ts';
import { Slice } from './slice.ts';

/** What deleting a task costs beside its bodies, in pages, about: a row, its attempts, and an entry in each index. */
const taskCost = 8;
/** A file may have free pages for what comes next: so many, and this part of those in use. */
const freePagesMin = 256;
const freePart = 1 / 8;

const doneStates = endedStates.filter((state) => state !== 'dead_letter');
const anyTime = Number.MAX_SAFE_INTEGER;

interface Candidate {
  readonly seq: number;
  readonly id: string;
  readonly sinceMs: number;
}

export class BookRetention {
  readonly #db: DatabaseSync;
  readonly #oldest: ReturnType<typeof statements>;
  /** In pages. */
  readonly #deleting = new Slice(64, 32_768);
  readonly #shrinking = new Slice(32, 8192);

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#oldest = statements(db);
  }

  /** @param tasks how many there are. */
  expired(expiry: Expiry, tasks: number): Expired {
    const { wallMs, limit, bytesMax } = expiry;
    const most = Math.min(limit, Math.ceil(this.#deleting.size / taskCost));
    const old = this.#tooOld(expiry, most);
    const found = this.#within(old.length > 0 ? old : this.#tooMany(expiry, tasks, most));
    if (found.length === 0) return { tasks: [], bodies: this.#tooLarge(bytesMax, limit), beforeMs: 0 };
    const ids = found.map(({ id }) => id);
    return { tasks: found.map(({ seq }) => seq), bodies: [], beforeMs: afterIds(ids, wallMs) };
  }

  /** Deletions of so many tasks and bytes of bodies took so long. */
  took(tasks: number, bodyBytes: number, ms: number): void {
    this.#deleting.took(costOf(tasks, bodyBytes), ms);
  }

  /** Gives free pages back, all of them or what the file may not have; whether there are more. Outside a transaction. */
  shrink(isAll: boolean): boolean {
    const before = isAll ? pagesOf(this.#db, 'freelist_count') : this.#spare();
    if (before <= 0) return false;
    const startedMs = performance.now();
    const pages = Math.min(before, this.#shrinking.size);
    this.#db.exec(`PRAGMA incremental_vacuum(${pages})`);
    this.#shrinking.took(pages, performance.now() - startedMs);
    return pages < before;
  }

  #tooOld({ beforeMs, deadLettersBeforeMs }: Expiry, most: number): Candidate[] {
    const boundOf = (state: TaskState): number => (state === 'dead_letter' ? deadLettersBeforeMs : beforeMs);
    return this.#first(endedStates, boundOf, most);
  }

  /**
   * Dead letters when there is nothing else. Those whose ids are ahead of the clock, which no mark could tell from new ones,
   * only beyond twice the number.
   */
  #tooMany({ tasksMax, wallMs }: Expiry, tasks: number, most: number): Candidate[] {
    const over = Math.min(most, tasks - tasksMax);
    const past = this.#first(doneStates, () => wallMs + 1, over);
    if (past.length < over && this.#first(doneStates, () => anyTime, over).length === past.length)
      past.push(...this.#first(['dead_letter'], () => wallMs + 1, over - past.length));
    if (past.length > 0) return past;
    const far = Math.min(most, tasks - 2 * tasksMax);
    const ahead = this.#first(doneStates, () => anyTime, far);
    return [...ahead, ...this.#first(['dead_letter'], () => anyTime, far - ahead.length)];
  }

  #first(states: readonly TaskState[], boundOf: (state: TaskState) => number, most: number): Candidate[] {
    if (most <= 0) return [];
    return states
      .flatMap((state) => this.#oldest.tasks.all(state, boundOf(state), most))
      .map(({ seq, id, since_ms }) => ({ seq: Number(seq), id: String(id), sinceMs: Number(since_ms) }))
      .sort((a, b) => a.sinceMs - b.sinceMs)
      .slice(0, most);
  }

  /** As many of the first as one slice deletes. */
  #within(candidates: readonly Candidate[]): Candidate[] {
    let cost = 0;
    const end = candidates.findIndex(({ seq }, at) => {
      cost += costOf(1, Number(this.#oldest.bytesOf.get(seq)!.bytes));
      return at > 0 && cost > this.#deleting.size;
    });
    return end === -1 ? [...candidates] : candidates.slice(0, end);
  }

  /** The tasks whose bodies make the book larger than it may be, as many as one slice deletes. */
  #tooLarge(bytesMax: number, limit: number): number[] {
    const over =
      pagesOf(this.#db, 'page_count') - pagesOf(this.#db, 'freelist_count') - Math.floor(bytesMax / pageBytes);
    const found = new Set<number>();
    let cost = 0;
    let freed = 0;
    for (const { seq, bytes } of over > 0 ? this.#oldest.bodies.iterate() : []) {
      const isNext = !found.has(Number(seq));
      if (isNext && (cost > this.#deleting.size || freed > over || found.size === limit)) break;
      found.add(Number(seq));
      cost += costOf(isNext ? 1 : 0, Number(bytes));
      freed += Number(bytes) / pageBytes;
    }
    return [...found];
  }

  /** Free pages beyond what the file may have. */
  #spare(): number {
    const free = pagesOf(this.#db, 'freelist_count');
    return free - Math.max(freePagesMin, Math.ceil((pagesOf(this.#db, 'page_count') - free) * freePart));
  }
}

const costOf = (tasks: number, bodyBytes: number): number => tasks * taskCost + bodyBytes / pageBytes;

const statements = (db: DatabaseSync) => ({
  tasks: db.prepare('SELECT seq, id, since_ms FROM task WHERE state = ? AND since_ms < ? ORDER BY since_ms LIMIT ?'),
  bytesOf: db.prepare(bodyBytesSql),
  bodies: db.prepare('SELECT seq, length(bytes) AS bytes FROM body ORDER BY is_last, seq, kind'),
});
