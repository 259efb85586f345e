/** Any value as people read it: rows as a table when it holds a list of objects, else JSON. */

import { jsonOf } from '../text/json.ts';
import { paint } from '../text/paint.ts';
import { inline, plain } from '../text/plain.ts';
import { ago, bytes } from '../text/quantity.ts';
import { genericTable } from './table.ts';

export function valueText(value: unknown): string {
  const rows = rowsOf(value);
  if (rows === undefined) return jsonText(value);
  const rest = Array.isArray(value) ? [] : Object.entries(value as object).filter(([, one]) => one !== rows);
  const foot =
    rest.length === 0 ? '' : `\n${paint('gray', rest.map(([key, one]) => `${plain(key)} ${inline(one)}`).join('  '))}`;
  return genericTable(rows, cell) + foot;
}

/** Indented, and whole. */
export const jsonText = (value: unknown): string => (value === undefined ? '-' : jsonOf(value, 2));

function rowsOf(value: unknown): Record<string, unknown>[] | undefined {
  const lists = Array.isArray(value)
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).filter(Array.isArray)
      : [];
  const list = lists.find(
    (one) => one.length > 0 && one.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row)),
  );
  return list as Record<string, unknown>[] | undefined;
}

/** Units end a name, so a name shows how its value is read. */
function cell(key: string, value: unknown): string {
  if (typeof value === 'number' && key.endsWith('_bytes')) return bytes(value);
  if (typeof value === 'number' && /_(at|time)_ms$/.test(key)) return `${ago(value)} ago`;
  return inline(value, 120);
}
