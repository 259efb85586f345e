import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hint } from '../../src/cli/hint.ts';
import { readDuration } from '../../src/cli/input.ts';
import { jsonFlaw, parseExactly } from '../../src/cli/json-text.ts';
import { suggestions } from '../../src/cli/suggestion.ts';
import { genericTable, pairs, table } from '../../src/cli/table.ts';
import { wantsJson } from '../../src/cli/wants-json.ts';
import { editDistance } from '../../src/text/edit-distance.ts';
import { jsonOf } from '../../src/text/json.ts';
import { shellQuoted } from '../../src/text/shell.ts';
import { columnsOf } from '../../src/text/width.ts';
import { read } from '../source.ts';

describe('hints', () => {
  test('carry the --socket that was given, as one word of a shell', () => {
    expect(hint('deye broker stop', {})).toBe('deye broker stop');
    expect(hint('deye broker stop', { socket: '/run/a.sock' })).toBe('deye broker stop --socket /run/a.sock');
    expect(hint('deye broker stop', { socket: "/my dir/it's" })).toBe(`deye broker stop --socket '/my dir/it'\\''s'`);
  });
  test('nothing of a quoted word is read by the shell', async () => {
    const { execFileSync } = await import('node:child_process');
    const texts = ['$HOME', '`id`', 'a b', "'", '"', 'a;b', '*', '~', '\\', 'ü', '!x', '#'];
    for (const text of texts)
      expect(execFileSync('sh', ['-c', `printf %s ${shellQuoted(text)}`], { encoding: 'utf8' })).toBe(text);
  });
});

describe('where a text stops being JSON', () => {
  test.each([
    ['root:x:0:0', 1, 1],
    ['{oops', 1, 2],
    ['{"a": 1,\n "b": tru}', 2, 7],
    ['[1, 2', 1, 6],
    ['{"a":1}\nx', 2, 1],
    ['', 1, 1],
    ['"a\nb"', 1, 1],
    ['"\\x"', 1, 1],
    ['[1,]', 1, 4],
    ['{"a" 1}', 1, 6],
    ['01', 1, 2],
  ])('%j: line %i, column %i', (text, line, column) => expect(jsonFlaw(text)).toEqual({ line, column }));

  test('agrees with the parser on what is JSON', () => {
    const isJson = (text: string): boolean => {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    };
    const almost = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '{', ']', ',', ':', '\\', '0', ' ', '\n', 'e', '-'))
      .map(([text, at, piece]) => {
        const cutAt = text.length === 0 ? 0 : at % text.length;
        return text.slice(0, cutAt) + piece + text.slice(cutAt + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), almost, fc.string()), (text) => {
        expect(jsonFlaw(text) === undefined).toBe(isJson(text));
      }),
      { numRuns: 3000 },
    );
  });
  test('what is read exactly is what the parser reads, but for integers that it would change', () => {
    const refuse = (why: string): never => {
      throw new Error(why);
    };
    fc.assert(
      fc.property(fc.json(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (text, integer) => {
        const [plain, exact] = parseExactly(`[${text}, ${integer}]`, refuse) as [unknown, number | bigint];
        const rounded: unknown = JSON.parse(jsonOf(plain));
        expect(rounded).toEqual(JSON.parse(text));
        expect(BigInt(exact)).toBe(integer);
        expect(typeof exact).toBe(Number.isSafeInteger(Number(integer)) ? 'number' : 'bigint');
      }),
    );
    expect(parseExactly('[100000000000000000000, 1e20]', refuse)).toEqual([1e20, 1e20]);
    expect(() => parseExactly('100000000000000000001', refuse)).toThrow(/the integer 1000.*; it must be from -9223/);
    expect(() => parseExactly('[1e999]', refuse)).toThrow(/the number 1e999/);
  });
  test('a deep text and a long string do not overflow the stack', () => {
    expect(jsonFlaw('['.repeat(1_000_000))).toEqual({ line: 1, column: 1_000_001 });
    expect(jsonFlaw(`"${'a'.repeat(5_000_000)}"`)).toBeUndefined();
  });
});

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['0', 0],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => expect(readDuration(text)).toBe(ms));
  test.each(['30', '1.5', '-1s', '1 s', 's', '', '1e3s', '3w'])('%j is refused, with how to write one', (text) =>
    expect(() => readDuration(text)).toThrow(/Write .*\d+s/),
  );
  test('the help of every flag that takes one says how it is written', () => {
    const { commands } = JSON.parse(read('oclif.manifest.json')) as {
      commands: Record<string, { flags: Record<string, { description: string }> }>;
    };
    const flags = Object.values(commands).flatMap(({ flags: own }) => Object.entries(own));
    const timeouts = flags.filter(([name]) => name.endsWith('timeout'));
    expect(timeouts).toHaveLength(4);
    for (const [, { description }] of timeouts) expect(description).toMatch(/500ms, 30s, 2m/);
  });
});

describe('which command was meant', () => {
  const commands = [
    'task submit',
    'task ls',
    'task list',
    'task show',
    'top',
    'topic pub',
    'broker stop',
    'broker start',
  ];
  test.each([
    ['task sbmit', ['task submit']],
    ['task submti', ['task submit']],
    ['tsak submit', ['task submit']],
    ['task sbmit enumerate_processes', ['task submit']],
    ['submit', ['task submit']],
    ['sbmit', ['task submit']],
    ['task sbmit a b c', ['task submit']],
    ['tpo', ['top']],
    ['broker stpo', ['broker stop']],
    ['xyzzy', []],
  ])('%s', (typed, meant) => expect(suggestions(typed, commands)).toEqual(meant));
  test('at most three, the nearest first', () => {
    expect(suggestions('broker sta', commands)).toEqual(['broker start', 'broker stop']);
    expect(suggestions('broker sto', commands)[0]).toBe('broker stop');
    expect(suggestions('task', ['task a', 'task b', 'task c', 'task d'])).toHaveLength(3);
  });
  test('a swap of neighbours is one edit', () => {
    expect([editDistance('stpo', 'stop'), editDistance('', 'ab'), editDistance('abc', 'abc')]).toEqual([1, 2, 0]);
  });
});

describe('tables', () => {
  const columns = [
    { title: 'NAME', value: ({ name }: { name: string }) => name },
    { title: 'N', value: () => '7', right: true },
    { title: 'REST', value: () => 'x'.repeat(50) },
  ];
  test('columns stand under each other, whatever script they are in', () => {
    const lines = table([{ name: '日本語' }, { name: 'abc' }, { name: '🦊🦊' }], columns, 200).split('\n');
    for (const line of lines.slice(1)) expect(columnsOf(line.slice(0, line.indexOf('7')))).toBe(8);
    expect(lines[0]).toMatch(/^NAME {4}N {2}REST$/);
  });
  test('the last column is cut to the terminal, by columns', () => {
    for (const line of table([{ name: '日本語' }], columns, 30).split('\n'))
      expect(columnsOf(line)).toBeLessThanOrEqual(30);
  });
  test('on a narrow terminal columns are narrowed, then left out, and no line is too long', () => {
    const row = { id: 'x'.repeat(36), name: 'enumerate_processes', count: 7, why: 'because '.repeat(20) };
    const all = [
      { title: 'ID', value: ({ id }: typeof row) => id },
      { title: 'NAME', value: ({ name }: typeof row) => name, least: 9 },
      { title: 'COUNT', value: ({ count }: typeof row) => String(count), right: true, drop: 1 },
      { title: 'MORE', value: ({ count }: typeof row) => String(count), right: true, drop: 2 },
      { title: 'WHY', value: ({ why }: typeof row) => why, least: 16 },
    ];
    const titles = (width: number) => table([row], all, width).split('\n')[0]!.split(/ +/).join(' ');
    expect([200, 80, 75, 70, 66, 60].map(titles)).toEqual([
      'ID NAME COUNT MORE WHY',
      'ID NAME COUNT MORE WHY',
      'ID NAME COUNT WHY',
      'ID NAME WHY',
      'ID NAME WHY',
      'ID NAME WHY',
    ]);
    for (const width of [200, 80, 75, 60, 40, 10, 1])
      for (const line of table([row], all, width).split('\n')) expect(columnsOf(line)).toBeLessThanOrEqual(width);
    expect(table([row], all, 80)).toContain(row.id);
  });
  test('no rows, no pairs', () => {
    expect(genericTable([], String)).toBe('');
    expect(pairs([['a', undefined]])).toBe('');
    expect(
      pairs([
        ['語', '1'],
        ['abc', '2'],
      ]),
    ).toBe('語   1\nabc  2');
  });
  test('a hundred thousand rows do not overflow the stack', () => {
    const rows = Array.from({ length: 200_000 }, () => ({ name: 'a' }));
    expect(table(rows, columns, 80).length).toBeGreaterThan(rows.length);
    expect(genericTable(rows, (_, value) => String(value)).length).toBeGreaterThan(rows.length);
  });
});

test.each([
  [['task', 'ls', '--json'], true],
  [['task', 'ls', '-o', 'json'], true],
  [['task', 'ls', '-o=jsonl'], true],
  [['task', 'ls', '-ojson'], true],
  [['task', 'ls', '--output=json'], true],
  [['task', 'ls', '-o', 'yaml'], false],
  [['call', 'a', 'b', '--', '--json'], false],
  [[], false],
])('%j asks for errors as JSON: %s', (argv, wanted) => expect(wantsJson(argv)).toBe(wanted));
