/**
 * Salvage: everything whole that a damaged store holds, as a new store that starts, and the names of what is not. The
 * rows of the old book come first, then the journal is folded over them, so what a damaged row has lost may be had back
 * from the journal. Nothing is written when something acknowledged is missing, unless that is accepted.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BookReader } from '../book/book-reader.ts';
import type { BookError } from '../book/error.ts';
import { renewFirstPage } from '../book/first-page.ts';
import type { StoredTask } from '../core/record.ts';
import { fullRecord } from '../core/replay.ts';
import type { PlacedBatch } from '../journal/survey.ts';
import { type Gap, wholeBatches } from '../journal/whole-batches.ts';
import { copyFile } from '../store/copy-file.ts';
import { bookIn } from '../store/layout.ts';
import { buildDirectory } from '../store/new-directory.ts';
import { NewStore, resultRecord } from '../store/new-store.ts';
import { refuseStrangeBook } from '../store/own-directory.ts';
import { openParts, type Parts } from '../store/parts.ts';
import type { Progress } from '../store/progress.ts';
import { Fold } from './fold.ts';
import { Losses, type Lost } from './losses.ts';

export interface Salvaged {
  readonly directory: string;
  /** False when something that was acknowledged is missing, and that was not accepted. */
  readonly is_written: boolean;
  readonly of_store: string;
  readonly epoch: number;
  readonly live_tasks: number;
  readonly ended_tasks: number;
  readonly settings: number;
  readonly lost: Lost;
  /** Tasks that live as far as is known, and may have ended in what is missing: they run again. */
  readonly may_run_again: readonly string[];
}

interface SalvageOptions {
  readonly acceptGap: boolean;
  readonly progress?: Progress;
}

/** `to` must be missing or empty; `directory` is not touched, and no broker may run on it. */
export async function salvageStore(
  directory: string,
  to: string,
  { acceptGap, progress = () => {} }: SalvageOptions,
): Promise<Salvaged> {
  let refused: Salvaged | undefined;
  try {
    return await buildDirectory(to, async (draft) => {
      const scratch = join(draft, 'scratch');
      const losses = new Losses((text) => text.replaceAll(scratch, directory));
      await copyBook(directory, scratch, losses);
      const salvaged = await salvage(directory, scratch, to, draft, { losses, progress });
      rmSync(scratch, { recursive: true });
      if (salvaged.lost.is_nothing || acceptGap) return salvaged;
      refused = { ...salvaged, is_written: false };
      throw new Error('something is missing'); // and the draft goes away
    });
  } catch (error) {
    if (refused !== undefined) return refused;
    throw error;
  }
}

/**
 * SQLite makes files beside one that it reads. A write-ahead file that is refused is left out: the main file has rows, too.
 * A main file that is no book, as far as its first page says, gets another one.
 */
async function copyBook(directory: string, scratch: string, losses: Losses): Promise<void> {
  refuseStrangeBook(directory);
  mkdirSync(scratch);
  const [book, log] = [bookIn(scratch), `${bookIn(scratch)}-wal`];
  for (const suffix of ['', '-wal'])
    if (existsSync(bookIn(directory) + suffix)) await copyFile(bookIn(directory) + suffix, book + suffix);
  if (!existsSync(book) || damageOf(book) === undefined) return;
  const told = existsSync(log) ? [logLeftOut] : [];
  rmSync(log, { force: true });
  if (damageOf(book) === 'book_damaged') {
    renewFirstPage(book);
    told.unshift(pageRenewed);
  }
  if (damageOf(book) === undefined) for (const what of told) losses.book(what);
}

const logLeftOut =
  'Its write-ahead file is damaged, or of another time, and is left out; rows that were being saved to the main file may be missing.';
const pageRenewed = 'Its first page is damaged. It was read with that of a new book; rows may be missing.';

/** Why it cannot be read, as the code of an error. What has the tables of a book is one, whatever else it says that it is. */
function damageOf(path: string): string | undefined {
  try {
    using book = new BookReader(path, false);
    const isOwn = book.hasOwnTables;
    try {
      void book.position;
    } catch (error) {
      return isOwn ? 'book_damaged' : (error as BookError).code;
    }
    return isOwn === book.isEmpty ? 'book_damaged' : undefined;
  } catch (error) {
    return (error as BookError).code;
  }
}

async function salvage(
  directory: string,
  scratch: string,
  to: string,
  draft: string,
  { losses, progress }: { readonly losses: Losses; readonly progress: Progress },
): Promise<Salvaged> {
  await using parts = await openParts(directory, false, progress, scratch);
  const { survey, position } = parts;
  const storeId = Buffer.from(survey.storeId).toString('hex');
  const whole = wholeBatches(survey.segments, position?.storeId === storeId ? position : undefined);
  for (const gap of whole.gaps) losses.gap(gap);
  const hasBook = isOfThis(parts, storeId, whole.batches, losses);
  const all = survey.segments.flatMap(({ batches }) => batches);
  const epoch = all.reduce((most, batch) => Math.max(most, batch.epoch), position?.epoch ?? 0);
  await using store = await NewStore.create(draft, epoch);
  const rows = hasBook ? enterBook(parts, store, losses, progress) : new Set<number>();
  const fold = await foldInto(parts, whole.batches, whole.gaps, { store, losses, rows, progress });
  const inBook = hasBook ? (position?.sequence ?? 0) : 0;
  const tasks = [...fold.durable.tasks.values()].filter(
    ({ seq }) => !(rows.has(seq) && fold.latest.get(seq)! <= inBook),
  );
  for (const moved of fold.orphans.values()) losses.orphan(moved, rows);
  const nextSeq = [...rows].reduce((next, seq) => Math.max(next, seq + 1), fold.durable.nextSeq);
  const { settings, expiredBeforeMs } = fold.durable;
  for (const [key, value] of settings) await store.add({ kind: 'setting', namespace: 'default', key, value });
  for (const task of tasks) await store.add(fullRecord(task));
  await store.add({ kind: 'expired', beforeMs: expiredBeforeMs });
  await store.finish(nextSeq);
  return {
    directory: to,
    is_written: true,
    of_store: storeId,
    epoch: store.epoch,
    live_tasks: tasks.length,
    ended_tasks: rows.size,
    settings: settings.size,
    lost: losses.all(),
    may_run_again: mayRunAgain(tasks, fold, whole.gaps),
  };
}

/** Whether the book belongs to this journal; what it lacks is told. */
function isOfThis(
  { book, bookError, position }: Parts,
  storeId: string,
  batches: readonly PlacedBatch[],
  losses: Losses,
): boolean {
  const [first] = batches;
  const begins = first === undefined ? 1 : first.batch.sequence + (first.batch.kind === 'records' ? 0 : 1);
  if (bookError !== undefined) {
    if (begins === 1) return false; // the journal has all of it
    const what = book === undefined ? `Tasks that ended before batch ${begins} are` : 'Its rows are read; some may be';
    losses.book(`It cannot be read: ${bookError.message} ${what} missing.`);
    return book !== undefined;
  }
  if (position !== undefined && position.storeId !== storeId) {
    losses.book(`It is of another store (${position.storeId}), and is left out.`);
    return false;
  }
  const known = position ?? { sequence: 0, crc: 0 };
  const same = batches.find(({ batch }) => batch.kind === 'records' && batch.sequence === known.sequence);
  if (same !== undefined && same.batch.crc !== known.crc) {
    losses.book(
      `It went another way than the journal at batch ${known.sequence}: it is of another copy of the store, and is left out.`,
    );
    return false;
  }
  if (known.sequence < begins - 1)
    losses.book(
      `It ends at batch ${known.sequence} and the journal begins at ${begins}: tasks that ended between are missing.`,
    );
  return true;
}

/** Every whole row; answers the `seq` of the tasks that have one. */
function enterBook({ book }: Parts, store: NewStore, losses: Losses, progress: Progress): Set<number> {
  const rows = new Set<number>();
  if (book === undefined) return rows;
  const { seqs, damage } = book.seqs();
  for (const { message } of damage) losses.book(message);
  for (const [at, seq] of seqs.entries()) {
    if (at % 1000 === 0) progress('reading the book', at, seqs.length);
    const { task, result, attempts, damage: damaged, id } = book.entry(seq);
    for (const attempt of attempts) store.enter(attempt);
    for (const { what, message } of damaged) losses.row(seq, id, what ?? message);
    if (task === undefined) continue;
    store.enter(task);
    if (result !== undefined) store.enter(resultRecord(task, result));
    rows.add(seq);
  }
  return rows;
}

interface FoldParts {
  readonly store: NewStore;
  readonly losses: Losses;
  readonly rows: Set<number>;
  readonly progress: Progress;
}

async function foldInto(
  { survey }: Parts,
  batches: readonly PlacedBatch[],
  gaps: readonly Gap[],
  { store, losses, rows, progress }: FoldParts,
): Promise<Fold> {
  let unseenFrom: number | undefined;
  const purged: number[] = [];
  const fold = new Fold({
    damaged: (sequence, byte, why) => losses.record(sequence, byte, why.message),
    submitted: (seq) => {
      if (unseenFrom !== undefined) losses.unseen(unseenFrom, seq - 1);
      unseenFrom = undefined;
    },
    attempt: (record) => store.enter(record),
    ended: (task, moved) => {
      store.enter(fullRecord(task));
      if (moved.result !== undefined) store.enter(moved);
      rows.add(task.seq);
      losses.foundAgain(task.seq);
    },
    deleted: (record) => {
      store.enter(record);
      if (record.kind === 'trimmed') return;
      for (const seq of record.seqs) {
        rows.delete(seq);
        purged.push(seq);
      }
    },
  });
  const behindGap = new Set(gaps.map(({ before }) => before));
  let done = 0;
  for await (const { batch, body } of survey.bodies(batches)) {
    if (behindGap.has(batch.ordinal)) unseenFrom = fold.durable.nextSeq;
    if (batch.kind === 'records') fold.batch(batch.sequence, body);
    progress('reading the journal', ++done, batches.length);
  }
  for (const seqs of [rows, fold.durable.tasks.keys(), fold.orphans.keys(), purged]) losses.known(seqs);
  return fold;
}

function mayRunAgain(tasks: readonly StoredTask[], { latest }: Fold, gaps: readonly Gap[]): string[] {
  const after = gaps.at(-1)?.after;
  return after === undefined ? [] : tasks.filter(({ seq }) => latest.get(seq)! <= after).map(({ spec }) => spec.id);
}
