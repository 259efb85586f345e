/** Limits by the names that people write. */
import { type LimitName, limitKey, limitTable } from '../../src/protocol/limits.ts';
import { term } from './roff.ts';

/** `8388608 bytes (outbound_bytes_max)`. */
export function limit(name: LimitName): string {
  const { value, unit } = limitTable[name];
  return `${value}${unit === 'count' ? '' : ` ${unit}`} (${limitKey(name)})`;
}

export const limitTerms: readonly string[] = Object.entries(limitTable).map(([name, row]) => {
  const { value, unit, summary, configurable, most } = row;
  const bound = most === Number.MAX_SAFE_INTEGER ? '' : `; at most ${most}`;
  return term(`${limitKey(name)}  ${value} ${unit}`, `${summary}${configurable ? bound : '; fixed'}`);
});

/** A text of the tables, in which limits have their names of the code. */
export const withLimitKeys = (text: string): string =>
  text.replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, (word) => (Object.hasOwn(limitTable, word) ? limitKey(word) : word));
