/** What the commands of the store found, for people. */
import type { Finding } from '../store/finding.ts';
import type { Restored } from '../store/restore.ts';
import type { Verified } from '../store/verify.ts';
import { paint } from '../text/paint.ts';
import { bytes, counted } from '../text/quantity.ts';
import { shellQuoted } from './hint.ts';
import type { BackedUp } from './store-work.ts';
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

export const backedUpText = ({ directory, files, sequence, epoch, store_id }: BackedUp): string =>
  `The store is copied.\n${pairs([
    ['backup', directory],
    ['of store', store_id],
    ['up to', `batch ${sequence} of epoch ${epoch}`],
    ['holds', `${counted(files.length, 'file')}, ${bytes(files.reduce((sum, file) => sum + file.bytes, 0))}`],
    ['restore with', `deye store restore ${shellQuoted(directory)} --state-dir NEW_DIR`],
  ])}`;

export const restoredText = ({ directory, store_id, epoch, sequence, made_at_ms }: Restored): string =>
  `The store is restored.\n${pairs([
    ['state directory', directory],
    ['store', store_id],
    ['stands at', `batch ${sequence}; it goes on in epoch ${epoch}`],
    ['made', new Date(made_at_ms).toISOString()],
    ['start with', `deye broker start --state-dir ${shellQuoted(directory)}`],
  ])}`;
