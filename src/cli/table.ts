/** Tables for people: aligned columns, numbers to the right, fitted to the terminal. */
import { paint } from '../text/paint.ts';
import { columnsOf, cut, place } from '../text/width.ts';

interface TableColumn<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly right?: boolean;
  /** May be narrowed to this on a terminal that is too narrow; the last column may be in any case. */
  readonly least?: number;
  /** May be left out there; the highest goes first. */
  readonly drop?: number;
}

const gap = 2;
const lastLeast = 12;

export function table<Row>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
  width = process.stdout.columns ?? Number.POSITIVE_INFINITY,
): string {
  const measured = columns.map((column, at) => {
    const cells = rows.map(column.value);
    const natural = cells.reduce((most, cell) => Math.max(most, columnsOf(cell)), columnsOf(column.title));
    const least = Math.min(natural, column.least ?? (at === columns.length - 1 ? lastLeast : natural));
    return { column, cells, least, width: natural };
  });
  const shown = fit(measured, width);
  const line = (texts: readonly string[]): string => {
    const parts = shown.map(({ column, width: own }, at) =>
      at === shown.length - 1 && column.right !== true ? cut(texts[at]!, own) : place(texts[at]!, own, column.right),
    );
    return cut(parts.join(' '.repeat(gap)).trimEnd(), width);
  };
  const titles = line(shown.map(({ column }) => column.title));
  return [paint('bold', titles), ...rows.map((_, row) => line(shown.map(({ cells }) => cells[row]!)))].join('\n');
}

interface Measured {
  readonly column: { readonly drop?: number };
  readonly least: number;
  readonly width: number;
}

/** Leaves columns out until the rest can be narrowed to fit, then narrows the last, and then the widest. */
function fit<M extends Measured>(columns: readonly M[], width: number): M[] {
  const total = (all: readonly M[], of: (one: M) => number): number =>
    all.reduce((sum, one) => sum + of(one), gap * (all.length - 1));
  let kept = [...columns];
  while (total(kept, ({ least }) => least) > width) {
    const first = kept.reduce((one, other) => ((other.column.drop ?? 0) > (one.column.drop ?? 0) ? other : one));
    if (first.column.drop === undefined) break;
    kept = kept.filter((one) => one !== first);
  }
  let excess = total(kept, (one) => one.width) - width;
  const last = kept.at(-1);
  for (const one of kept.toSorted((a, b) => Number(b === last) - Number(a === last) || b.width - a.width)) {
    if (excess <= 0) break;
    const by = Math.min(excess, one.width - one.least);
    excess -= by;
    kept[kept.indexOf(one)] = { ...one, width: one.width - by };
  }
  return kept;
}

/** Name and value, one pair a line. */
export function pairs(entries: readonly (readonly [string, string | undefined])[]): string {
  const shown = entries.filter((entry): entry is [string, string] => entry[1] !== undefined);
  const width = shown.reduce((most, [name]) => Math.max(most, columnsOf(name)), 0);
  return shown.map(([name, value]) => `${paint('bold', place(name, width))}  ${value}`).join('\n');
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
    ordered.map((key) => {
      const right = rows.every((row) => typeof row[key] === 'number' || typeof row[key] === 'bigint');
      return { title: key.toUpperCase(), value: (row) => show(key, row[key]), right, ...(right ? {} : { least: 8 }) };
    }),
  );
}

const size = (rows: readonly Readonly<Record<string, unknown>>[], key: string): number =>
  rows.reduce((most, row) => Math.max(most, String(row[key] ?? '').length), 0);
