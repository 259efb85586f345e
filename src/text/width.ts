/** Text measured in the columns of a terminal: a CJK character or an emoji takes two, a combining mark none. */
import { createRequire } from 'node:module';
import { stripVTControlCharacters } from 'node:util';

/** ASCII, Latin letters, and what we draw with: one column each. */
const narrow = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff…▁-█]*$/;

type Measure = (text: string) => number;
let measure: Measure | undefined;
let segmenter: Intl.Segmenter | undefined;

/** Columns that `text` takes; its colours take none. */
export function columnsOf(text: string): number {
  if (narrow.test(text)) return text.length;
  // Only what needs it pays for its import, which takes 30 ms.
  measure ??= (createRequire(import.meta.url)('string-width') as { default: Measure }).default;
  return measure(text);
}

/** `text` itself when it fits, else as much of it as fits with a `…`, without its colours. */
export function cut(text: string, columns: number): string {
  if (columns === Number.POSITIVE_INFINITY) return text;
  const bare = stripVTControlCharacters(text);
  if (columnsOf(bare) <= columns) return text;
  if (columns <= 1) return columns === 1 ? '…' : '';
  if (narrow.test(bare)) return `${bare.slice(0, columns - 1)}…`;
  segmenter ??= new Intl.Segmenter();
  let kept = '';
  let left = columns - 1;
  for (const { segment } of segmenter.segment(bare)) {
    left -= columnsOf(segment);
    if (left < 0) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Exactly so many columns: cut, or padded on the right, or on the left when it stands `right`. */
export function place(text: string, columns: number, right = false): string {
  const shown = cut(text, columns);
  const gap = ' '.repeat(Math.max(0, columns - columnsOf(stripVTControlCharacters(shown))));
  return right ? gap + shown : shown + gap;
}
