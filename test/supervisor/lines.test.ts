import { expect, test } from 'vitest';
import { LineCutter } from '../../src/supervisor/lines.ts';

function cut(bytesMax: number, ...chunks: string[]): string[] {
  const lines: string[] = [];
  const cutter = new LineCutter(bytesMax, (text) => lines.push(text));
  for (const chunk of chunks) cutter.feed(Buffer.from(chunk));
  cutter.end();
  return lines;
}

test('lines come whole, however the chunks fall', () => {
  const text = 'one\ntwo\r\n\nthree äöü\nlast';
  const lines = ['one', 'two', '', 'three äöü', 'last'];
  expect(cut(100, text)).toEqual(lines);
  expect(cut(100, ...text)).toEqual(lines);
  expect(cut(100, text, '\n')).toEqual(lines);
});

test('a line that is too long is cut, once, and the next one is whole', () => {
  expect(cut(4, 'abcdefgh\nij\n')).toEqual(['abcd … cut at 4 bytes', 'ij']);
  expect(cut(4, ...'abcdefgh', '\n', 'ij')).toEqual(['abcd … cut at 4 bytes', 'ij']);
  expect(cut(4, 'abcd\nefgh\n')).toEqual(['abcd', 'efgh']);
  expect(cut(4, 'abcde')).toEqual(['abcd … cut at 4 bytes']);
});

test('a line without an end holds no more memory than its limit', () => {
  const lines: string[] = [];
  const cutter = new LineCutter(65_536, (text) => lines.push(text));
  const chunk = Buffer.alloc(65_536, 'x');
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  for (let at = 0; at < 4800; at++) cutter.feed(chunk); // 300 MB
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  cutter.feed(Buffer.from('\nnext\n'));
  expect(lines.map((line) => line.length)).toEqual([65_536 + ' … cut at 65536 bytes'.length, 4]);
});
