/** Everything that a store at rest remembers, task by task, in the order of acceptance. What has ended is read as it is asked for. */
import type { BookReader } from '../book/book-reader.ts';
import type { RecordOf, StoredTask } from '../core/record.ts';
import { fullRecord } from '../core/replay.ts';
import { storeWord } from '../store/journal-error.ts';
import type { WholeTask } from '../store/new-store.ts';
import { openParts, type Parts } from '../store/parts.ts';
import { StoreError } from '../store/port.ts';
import type { Progress } from '../store/progress.ts';
import { soundRun } from '../store/refuse-damaged.ts';
import { Fold } from './fold.ts';

export interface Contents extends AsyncDisposable {
  readonly storeId: string;
  readonly epoch: number;
  readonly settings: ReadonlyMap<string, string>;
  /** Larger than every `seq` that was ever used. */
  readonly nextSeq: number;
  /** No new task may have an id whose time is before this. */
  readonly expiredBeforeMs: number;
  /** Throws a StoreError when a row of the book is damaged. */
  tasks(): Generator<WholeTask>;
}

/** What ended, an attempt that did, and what was deleted, in batches that the book has not taken in yet. */
interface Recent {
  readonly ended: Map<number, { readonly task: StoredTask; readonly result: Uint8Array | undefined }>;
  readonly attempts: Map<number, RecordOf<'attempt'>[]>;
  readonly purged: Set<number>;
  /** Of these the bodies. */
  readonly trimmed: Set<number>;
}

const noBytes = new Uint8Array(0);

/** Rejects with what a start would refuse. */
export async function readContents(directory: string, progress?: Progress): Promise<Contents> {
  const parts = await openParts(directory, false, progress);
  try {
    const { batches, epoch } = soundRun(directory, parts);
    const inBook = parts.position?.sequence ?? 0;
    const recent: Recent = { ended: new Map(), attempts: new Map(), purged: new Set(), trimmed: new Set() };
    let isRecent = false;
    const fold = new Fold({
      damaged: (sequence, _, why) => {
        throw damagedStore(directory, `batch ${sequence}: ${why.message}`);
      },
      ended: (task, { result }) => {
        if (isRecent) recent.ended.set(task.seq, { task: fullRecord(task), result: result?.slice() });
      },
      attempt: (record) => {
        if (isRecent) recent.attempts.set(record.seq, [...(recent.attempts.get(record.seq) ?? []), record]);
      },
      deleted: ({ kind, seqs }) => {
        if (isRecent) for (const seq of seqs) recent[kind].add(seq);
      },
    });
    for await (const { batch, body } of parts.survey.bodies(batches)) {
      isRecent = batch.sequence > inBook;
      if (batch.kind === 'records') fold.batch(batch.sequence, body);
    }
    return {
      storeId: Buffer.from(parts.survey.storeId).toString('hex'),
      epoch,
      settings: fold.durable.settings,
      nextSeq: fold.durable.nextSeq,
      expiredBeforeMs: fold.durable.expiredBeforeMs,
      tasks: () => tasksOf(directory, parts, fold, recent),
      [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
    };
  } catch (error) {
    await parts[Symbol.asyncDispose]();
    throw error;
  }
}

const damagedStore = (directory: string, what: string): StoreError =>
  new StoreError(
    'store_corrupt',
    `The store in ${directory} is damaged: ${what.replace(/\.$/, '')}. See: deye store verify ${storeWord(directory)}`,
  );

function* tasksOf(directory: string, { book }: Parts, { durable }: Fold, recent: Recent): Generator<WholeTask> {
  const inMemory = [...durable.tasks.keys(), ...recent.ended.keys()].sort((a, b) => a - b);
  for (const seq of merged(inMemory, book)) {
    const entry = book?.entry(seq);
    for (const { message } of entry?.damage ?? []) throw damagedStore(directory, message);
    const live = durable.tasks.get(seq);
    const ended = recent.ended.get(seq);
    const task = live ?? ended?.task ?? entry?.task;
    if (task === undefined || recent.purged.has(seq)) continue; // it was purged meanwhile
    const byNumber = new Map(
      [...(entry?.attempts ?? []), ...(recent.attempts.get(seq) ?? [])].map((one) => [one.attempt, one]),
    );
    const attempts = [...byNumber.values()].sort((a, b) => a.attempt - b.attempt);
    const result = live === undefined ? (ended === undefined ? entry?.result : ended.result) : undefined;
    if (!recent.trimmed.has(seq)) yield { task, result, attempts };
    else yield { task: { ...task, spec: { ...task.spec, payload: noBytes } }, result: undefined, attempts };
  }
}

/** Both in order, each once. */
function* merged(sorted: readonly number[], book: BookReader | undefined): Generator<number> {
  let at = 0;
  for (const seq of book?.ended() ?? []) {
    while (at < sorted.length && sorted[at]! < seq) yield sorted[at++]!;
    if (sorted[at] === seq) at++; // it lives again, and its row is still there
    yield seq;
  }
  while (at < sorted.length) yield sorted[at++]!;
}
