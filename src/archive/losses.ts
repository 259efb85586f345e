/** What a salvage could not have back, by name as far as it has one. */
import type { RecordOf } from '../core/record.ts';
import type { Gap } from '../journal/whole-batches.ts';
import type { TaskState } from '../protocol/state.ts';

interface LostTask {
  readonly seq: number;
  /** Undefined when only a batch that is missing knew it. */
  readonly id: string | undefined;
  /** The last state that is known. */
  readonly state: TaskState | undefined;
  readonly what: string;
}

export interface Lost {
  readonly is_nothing: boolean;
  /** Batches that were acknowledged and are not whole: the first and the last; first 0 when that is not known. */
  readonly batches: readonly { readonly first: number; readonly last: number }[];
  readonly records: readonly { readonly sequence: number; readonly byte: number; readonly why: string }[];
  readonly tasks: readonly LostTask[];
  /** What is wrong with the journal as a whole, and with the book. */
  readonly journal: readonly string[];
  readonly book: readonly string[];
}

/** More names than these would not be read; how many there are stands in the batches. */
const unseenMax = 100_000;

export class Losses {
  readonly #batches: { first: number; last: number }[] = [];
  readonly #records: { sequence: number; byte: number; why: string }[] = [];
  readonly #rows = new Map<number, LostTask[]>();
  readonly #orphans: LostTask[] = [];
  readonly #unseen = new Set<number>();
  readonly #journal: string[] = [];
  readonly #book: string[] = [];
  readonly #told: (text: string) => string;

  /** @param told a text of an error as it is told: with the names of files as they are known. */
  constructor(told: (text: string) => string) {
    this.#told = told;
  }

  gap({ after, last, before }: Gap): void {
    if (after === undefined && before === undefined)
      this.#journal.push(
        `Nothing of it is there. What had not ended at batch ${last} is missing, all that came later, and which ids were deleted: tasks with such ids run again.`,
      );
    else this.#batches.push({ first: after === undefined ? 0 : after + 1, last });
  }

  record(sequence: number, byte: number, why: string): void {
    this.#records.push({ sequence, byte, why: this.#told(why) });
  }

  book(what: string): void {
    this.#book.push(this.#told(what));
  }

  row(seq: number, id: string | undefined, what: string): void {
    this.#rows.set(seq, [...(this.#rows.get(seq) ?? []), { seq, id, state: undefined, what: this.#told(what) }]);
  }

  /** The journal still had all of this task. */
  foundAgain(seq: number): void {
    this.#rows.delete(seq);
  }

  /** Numbers of tasks that were submitted in what is missing. */
  unseen(first: number, last: number): void {
    for (let seq = first; seq <= last && this.#unseen.size < unseenMax; seq++) this.#unseen.add(seq);
  }

  known(seqs: Iterable<number>): void {
    for (const seq of seqs) this.#unseen.delete(seq);
  }

  orphan({ seq, state }: RecordOf<'moved'>, rows: ReadonlySet<number>): void {
    if (!rows.has(seq)) this.#orphans.push({ seq, id: undefined, state, what: 'its submission is missing' });
  }

  all(): Lost {
    const unseen = [...this.#unseen].map((seq) => ({
      seq,
      id: undefined,
      state: undefined,
      what: 'it was submitted in what is missing',
    }));
    const tasks = [...[...this.#rows.values()].flat(), ...this.#orphans, ...unseen];
    const [batches, records, journal, book] = [this.#batches, this.#records, this.#journal, this.#book];
    const is_nothing = [tasks, batches, records, journal, book].every(({ length }) => length === 0);
    return { is_nothing, batches, records, tasks, journal, book };
  }
}
