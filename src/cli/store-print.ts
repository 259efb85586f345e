/** What the commands of the store found, for people. */

import type { Finding } from '../archive/finding.ts';
import type { Restored } from '../archive/restore.ts';
import type { Salvaged } from '../archive/salvage.ts';
import type { Verified } from '../archive/verify.ts';
import type { BackedUp, Compacted, StoreStatus } from '../protocol/store-methods.ts';
import { paint } from '../text/paint.ts';
import { plain } from '../text/plain.ts';
import { bytes, counted } from '../text/quantity.ts';
import { shellQuoted } from '../text/shell.ts';
import type { Exported } from './store-export.ts';
import type { Imported } from './store-import.ts';
import { pairs } from './table.ts';

export function verifiedText(found: Verified): string {
  const damaged = found.findings.filter(({ severity }) => severity === 'damage').length + found.findings_left_out;
  const verdict = found.is_whole ? 'whole' : `damaged: ${counted(damaged, 'finding')}`;
  return [
    pairs([
      ['store', `${found.directory} (${found.store_id})`],
      ['journal', `${counted(found.segments, 'segment')}, ${bytes(found.journal_bytes)}`],
      ['read', `${counted(found.batches, 'batch', 'batches')}, ${counted(found.records, 'record')}`],
      ['stands at', `batch ${found.sequence} of epoch ${found.epoch}; the book at batch ${found.book_sequence}`],
      ['tasks', `${found.live_tasks} live, ${found.ended_tasks} ended`],
      ['looked at', found.is_moving ? 'while a broker writes to it: up to what is synced' : undefined],
      ['verdict', paint(found.is_whole ? 'green' : 'red', verdict)],
    ]),
    ...found.findings.map(findingText),
    ...(found.findings_left_out === 0 ? [] : [`and ${found.findings_left_out} more`]),
  ].join('\n');
}

function findingText({ severity, code, message, advice, segment, byte, sequence }: Finding): string {
  const place = [
    segment === undefined ? '' : `segment ${segment}`,
    byte === undefined ? '' : `byte ${byte}`,
    sequence === undefined ? '' : `batch ${sequence}`,
  ].filter((part) => part !== '');
  const where = place.length === 0 ? '' : ` (${place.join(', ')})`;
  return `\n${paint(severity === 'damage' ? 'red' : 'yellow', severity)} ${code}${where}\n  ${message}\n  ${advice}`;
}

export function statusText(status: StoreStatus): string {
  const { journal, book, payloads } = status;
  const held = Object.entries(journal?.held_from ?? {}).map(([name, from]) => `${name} from batch ${from}`);
  return pairs([
    ['store', status.directory === undefined ? 'in memory: it ends with the broker' : status.directory],
    ['id', status.store_id && `${status.store_id}, in epoch ${status.epoch}`],
    ['sync', status.sync ?? 'no broker runs on it'],
    ['disk', status.is_full ? paint('red', 'full: nothing new is accepted') : undefined],
    ['tasks', `${status.live_tasks} live${book === undefined ? '' : `, ${book.ended_tasks} ended in the book`}`],
    ['payloads', `${bytes(payloads.bytes_in_memory)} in memory, ${payloads.count_on_disk} on the disk only`],
    [
      'journal',
      journal &&
        `${bytes(journal.bytes_used)} in ${counted(journal.segments, 'segment')}, ${bytes(journal.bytes_alive)} of it live; ${bytes(journal.bytes_ready)} kept ready`,
    ],
    [
      'batches',
      journal && `${journal.first_sequence} to ${journal.last_sequence}, synced up to ${journal.synced_sequence}`,
    ],
    ['held by', held.length === 0 ? undefined : held.join(', ')],
    [
      'book',
      book &&
        `${bytes(book.bytes)}, up to batch ${book.sequence}, ${counted(book.behind_batches, 'batch', 'batches')} behind`,
    ],
  ]);
}

export const compactedText = ({ journal, book }: Compacted): string =>
  pairs([
    ['journal', `${bytes(journal.bytes_before)}, now ${bytes(journal.bytes_after)}`],
    ['kept ready', `${bytes(journal.ready_before)}, now ${bytes(journal.ready_after)}`],
    ['book', `${bytes(book.bytes_before)}, now ${bytes(book.bytes_after)}`],
  ]);

export const backedUpText = ({ directory, file_count, bytes: size, sequence, epoch, store_id }: BackedUp): string =>
  `The store is copied.\n${pairs([
    ['backup', directory],
    ['of store', store_id],
    ['up to', `batch ${sequence} of epoch ${epoch}`],
    ['holds', `${counted(file_count, 'file')}, ${bytes(size)}`],
    ['restore with', `deye store restore ${shellQuoted(directory)} --state-dir NEW_DIR`],
  ])}`;

/** `start`: the command that starts a broker on it. */
export const restoredText = ({ directory, store_id, epoch, sequence, made_at_ms }: Restored, start: string): string =>
  `The store is restored.\n${pairs([
    ['state directory', directory],
    ['store', store_id],
    ['stands at', `batch ${sequence}; it goes on in epoch ${epoch}`],
    ['made', new Date(made_at_ms).toISOString()],
    ['start with', start],
  ])}`;

/** Names beyond these are for programs: --json has all of them. */
const namesShown = 20;

export function salvagedText({ lost, may_run_again, ...found }: Salvaged, start: string): string {
  const missing = [
    ...lost.journal.map((what) => `the journal: ${what}`),
    ...lost.book.map((what) => `the book: ${what}`),
    ...lost.batches.map(({ first, last }) => `batches ${first === 0 ? 'up to' : `${first} to`} ${last}`),
    ...lost.records.map(({ sequence, byte, why }) => `a record of batch ${sequence}, at byte ${byte}: ${why}`),
    ...lost.tasks.map(
      ({ seq, id, state, what }) => `task ${id ?? `number ${seq}`}${state === undefined ? '' : ` (${state})`}: ${what}`,
    ),
  ];
  const again = may_run_again.map((id) => `task ${id}`);
  return [
    found.is_written
      ? 'What is whole is in a new store.'
      : 'Nothing was written, since something acknowledged is missing.',
    pairs([
      ['new store', found.is_written ? found.directory : undefined],
      ['holds', `${found.live_tasks} live and ${found.ended_tasks} ended tasks, ${counted(found.settings, 'setting')}`],
      ['epoch', String(found.epoch)],
      ['missing', missingText(lost)],
      ['may run again', again.length === 0 ? undefined : `${again.length}: they may have ended in what is missing`],
    ]),
    ...listed('missing', missing),
    ...listed('may run again', again),
    found.is_written ? `Start with: ${start}` : 'Restore a backup, or take what is whole with: --accept-gap',
  ].join('\n');
}

/** Batches and tasks apart: a task may be named because its batch is. */
function missingText({ journal, book, batches, records, tasks }: Salvaged['lost']): string {
  const counts = [
    journal.length > 0 && 'the journal',
    batches.length > 0 && counted(batchCount(batches), 'batch', 'batches'),
    records.length > 0 && counted(records.length, 'record'),
    tasks.length > 0 && counted(new Set(tasks.map(({ seq }) => seq)).size, 'task'),
    book.length > 0 && 'something of the book',
  ].filter((text) => text !== false);
  return counts.length === 0 ? 'nothing' : counts.join(', ');
}

const batchCount = (batches: Salvaged['lost']['batches']): number =>
  batches.reduce((sum, { first, last }) => sum + last - Math.max(first, 1) + 1, 0);

function listed(what: string, names: readonly string[]): string[] {
  const more = names.length - namesShown;
  const shown = names.slice(0, namesShown).map((name) => `  ${plain(name, 300)}`);
  return names.length === 0 ? [] : [`${what}:`, ...shown, ...(more > 0 ? [`  and ${more} more; see --json`] : [])];
}

export const exportedText = ({ file, tasks, settings }: Exported): string =>
  `${counted(tasks, 'task')} and ${counted(settings, 'setting')} are in ${file}.`;

export const importedText = ({ tasks, settings, epoch }: Imported, start: string): string =>
  `${counted(tasks, 'task')} and ${counted(settings, 'setting')} are in a new store, which begins in epoch ${epoch}.\n` +
  `Start with: ${start}`;
