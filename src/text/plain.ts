/** Text that came from outside, made safe for a terminal. Nothing else may print it. */
import { jsonOf } from './json.ts';
import { cut } from './width.ts';

/** No grapheme that people write is longer, in UTF-16 units per column. */
const unitsPerColumn = 8;

/** Control characters escaped, and cut to `most` columns: a name cannot move the cursor or flood the screen. */
export function plain(text: string, most = 200): string {
  const unitsMost = most * unitsPerColumn;
  const bounded = text.length <= unitsMost ? text : `${text.slice(0, unitsMost).toWellFormed()}…`;
  // Category Cc: control characters; Cf: those that reorder or hide what follows; Zl, Zp: line separators.
  const escaped = bounded.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (char) => `\\x${char.codePointAt(0)!.toString(16).padStart(2, '0')}`,
  );
  return cut(escaped, most);
}

/** As `plain`, line by line. */
export const plainLines = (text: string, most = 200): string =>
  text
    .split('\n')
    .map((line) => plain(line, most))
    .join('\n');

/** Any value on one line. */
export function inline(value: unknown, most = 200): string {
  if (value === null || value === undefined) return '-';
  return plain(typeof value === 'string' ? value : typeof value === 'object' ? jsonOf(value) : String(value), most);
}
