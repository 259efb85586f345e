import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inline, plain, plainLines } from '../../src/text/plain.ts';
import { bytes, counted, duration } from '../../src/text/quantity.ts';
import { columnsOf, cut, place } from '../../src/text/width.ts';

describe('widths are columns of a terminal', () => {
  test.each([
    ['abc', 3],
    ['日本語', 6],
    ['héllo', 5],
    ['e\u0301', 1],
    ['🦊', 2],
    ['한글 x', 6],
    ['\u001b[31mred\u001b[39m', 3],
    ['…', 1],
    ['', 0],
  ])('%j takes %i', (text, columns) => expect(columnsOf(text)).toBe(columns));

  test('a cut falls between graphemes, and never takes more than there is', () => {
    expect(cut('日本語', 6)).toBe('日本語');
    expect(cut('日本語', 5)).toBe('日本…');
    expect(cut('日本語', 4)).toBe('日…');
    expect(cut('🦊🦊🦊', 3)).toBe('🦊…');
    expect(cut('e\u0301e\u0301e\u0301', 2)).toBe('e\u0301…');
    expect(cut('abcdef', 4)).toBe('abc…');
    expect([cut('ab', 1), cut('ab', 0)]).toEqual(['…', '']);
  });

  test('a place is exactly as wide as asked, whatever stands in it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 2, max: 40 }),
        fc.boolean(),
        (text, width, right) => {
          const placed = place(plain(text), width, right);
          // One column may stay empty where a wide character did not fit.
          expect([width - 1, width]).toContain(columnsOf(placed.replace('…', '.')));
        },
      ),
    );
    expect(place('日本', 6)).toBe('日本  ');
    expect(place('日本', 6, true)).toBe('  日本');
    expect(place('日本語', 5, true)).toBe('日本…');
  });
});

describe('text from outside', () => {
  test('cannot move the cursor, reorder what follows, or begin a line', () => {
    expect(plain('\u001b[2J')).toBe('\\x1b[2J');
    expect(plain('a\nb\u202ec\u2028')).toBe('a\\x0ab\\x202ec\\x2028');
    expect(plainLines('a\u0007\nb')).toBe('a\\x07\nb');
  });
  test('cannot flood the screen, also not with marks that take no column', () => {
    expect(columnsOf(plain('x'.repeat(1_000_000), 20))).toBe(20);
    expect(columnsOf(plain('語'.repeat(1_000_000), 20))).toBeLessThanOrEqual(20);
    expect(plain(`a${'\u0301'.repeat(1_000_000)}`, 20).length).toBeLessThan(200);
  });
  test('any value is one line', () => {
    expect([inline(null), inline(3), inline({ a: [1] }), inline('x\ny')]).toEqual(['-', '3', '{"a":[1]}', 'x\\x0ay']);
  });
});

test('quantities', () => {
  expect([0, 1, 2].map((count) => counted(count, 'message'))).toEqual(['0 messages', '1 message', '2 messages']);
  expect([1, 2].map((count) => counted(count, 'is', 'are'))).toEqual(['1 is', '2 are']);
  expect([950, 12_000, 180_000].map(duration)).toEqual(['950 ms', '12 s', '3 min']);
  expect([812, 4200, 250_000_000].map(bytes)).toEqual(['812 B', '4.2 kB', '250 MB']);
});
