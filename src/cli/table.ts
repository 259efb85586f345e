/** Tables for people: aligned columns, numbers to the right, the last column cut to the width of the terminal. */
import { stripVTControlCharacters } from 'node:util';
import { paint } from '../tui/text.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly right?: boolean;
}

export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width = process.stdout.columns ?? Number.POSITIVE_INFINITY,
): string {
  const cells = rows.map((row) => columns.map(({ value }) => value(row)));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((row) => visible(row[at]!))));
  const line = (texts: readonly string[]) => {
    let left = width;
    const parts = texts.map((text, at) => {
      const last = at === texts.length - 1;
      const cut =
        last && visible(text) > left && left > 1
          ? `${stripVTControlCharacters(text).slice(0, Math.max(0, left - 1))}…`
          : text;
      left -= widths[at]! + 2;
      const gap = ' '.repeat(Math.max(0, widths[at]! - visible(cut)));
      return columns[at]!.right === true ? gap + cut : last ? cut : cut + gap;
    });
    return parts.join('  ').trimEnd();
  };
  return [paint('bold', line(columns.map(({ title }) => title))), ...cells.map(line)].join('\n');
}

const visible = (text: string): number => stripVTControlCharacters(text).length;

/** Name and value, one pair a line. */
export function pairs(entries: readonly (readonly [string, string | undefined])[]): string {
  const shown = entries.filter((entry): entry is [string, string] => entry[1] !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${paint('bold', name.padEnd(width))}  ${value}`).join('\n');
}

/** Any rows of plain objects, their keys as titles. */
export function genericTable(
  rows: readonly Readonly<Record<string, unknown>>[],
  show: (key: string, value: unknown) => string,
): string {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  // The longest column goes last, where it may be cut.
  const longest = keys.toSorted((a, b) => size(rows, a) - size(rows, b)).at(-1);
  const ordered = [...keys.filter((key) => key !== longest), ...(longest === undefined ? [] : [longest])];
  return table(
    rows,
    ordered.map((key) => ({
      title: key.toUpperCase(),
      value: (row) => show(key, row[key]),
      right: rows.every((row) => typeof row[key] === 'number'),
    })),
  );
}

const size = (rows: readonly Readonly<Record<string, unknown>>[], key: string): number =>
  Math.max(...rows.map((row) => String(row[key] ?? '').length));
