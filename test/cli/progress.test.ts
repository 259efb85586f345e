import { expect, test } from 'vitest';
import { progressBar } from '../../src/cli/progress.ts';

const drawn = (isTTY: boolean): string => {
  let text = '';
  const out = { isTTY, write: (chunk: string) => (text += chunk) } as unknown as NodeJS.WriteStream;
  using bar = progressBar(out);
  for (const done of [0, 1, 1, 2]) bar.progress('reading', done, 2);
  bar[Symbol.dispose]();
  return text;
};

test('a bar grows in its line, is drawn again only when it changes, and is wiped away', () => {
  const lines = drawn(true).split('\r\x1b[K');
  expect(lines.slice(0, 4)).toEqual([
    '',
    `[${' '.repeat(24)}]   0 % reading`,
    `[${'#'.repeat(12)}${' '.repeat(12)}]  50 % reading`,
    `[${'#'.repeat(24)}] 100 % reading`,
  ]);
  expect(lines.at(-1)).toBe('');
});

test('off a terminal nothing is drawn', () => expect(drawn(false)).toBe(''));
