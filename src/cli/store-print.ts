/** What the commands of the store found, for people. */
import type { Finding } from '../store/finding.ts';
import type { Verified } from '../store/verify.ts';
import { paint } from '../text/paint.ts';
import { bytes, counted } from '../text/quantity.ts';
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
