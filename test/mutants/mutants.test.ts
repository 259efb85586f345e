import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rangesOf } from './changed.ts';
import { equivalents, isEquivalent } from './equivalent.ts';
import type { Verdict } from './job.ts';
import { judge } from './judge.ts';
import { type Mutant, plant } from './plant.ts';
import { relatedTests } from './related.ts';
import { countBy, countLine, type Judged, roomOf } from './report.ts';
import { shuffled } from './sample.ts';
import { parse } from './syntax.ts';
import { unionsOf } from './unions.ts';

const after = (source: string, mutator?: string): string[] =>
  plant('source.ts', source)
    .filter((mutant) => mutator === undefined || mutant.mutator === mutator)
    .map((mutant) => mutant.after);

describe('what is planted', () => {
  test.each<[mutator: string, source: string, mutants: string[]]>([
    ['operator', 'f(a < b);', ['f(a <= b);', 'f(a >= b);']],
    ['operator', 'f(a === b);', ['f(a !== b);']],
    ['operator', 'f(a && b);', ['f(a || b);']],
    ['operator', 'f(a + b);', ['f(a - b);']],
    ['operator', 'f(`a` + b);', []],
    ['operator', 'a += b;', ['a -= b;']],
    ['update', 'a++;', ['a--;']],
    ['update', 'for (let a = 0; a < 1; a++) f();', []],
    ['negation', 'f(!(a || b));', ['f((a || b));']],
    ['boolean', 'f(true);', ['f(false);']],
    ['number', 'f(7);', ['f(8);', 'f(6);']],
    ['number', 'f({ 7: a });', []],
    ['condition', 'if (a) f();', ['if (true) f();', 'if (false) f();']],
    ['condition', 'while (a) f();', ['while (false) f();']],
    ['condition', 'f(a ? b : c);', ['f(true ? b : c);', 'f(false ? b : c);']],
    ['nullish', 'f(a ?? b);', ['f(a);', 'f(b);']],
    ['method', 'f(a.some(b));', ['f(a.every(b));']],
    ['method', 'f(Math.min(a, b));', ['f(Math.max(a, b));']],
    ['filter', 'f(a.filter(b));', ['f(a);']],
    ['order', 'a.sort((b, c) => b - c);', ['a.sort((c, b) => b - c);']],
    ['statement', 'f();', [';']],
    ['statement', 'if (a) b = c;', ['if (a) ;']],
    ['statement', 'throw a;', [';']],
    ['jump', 'for (const a of b) { if (a) continue; f(); }', ['for (const a of b) { if (a) ; f(); }']],
    ['return', 'function f() { if (a) return 1; return 2; }', ['function f() { if (a) ; return 2; }']],
    ['return', 'function f() { a(); b(); }', ['function f() { return; a(); b(); }']],
    ['literal', "type A = 'b' | 'c'; f('c');", ["type A = 'b' | 'c'; f('b');"]],
    [
      'literal',
      "const a = ['b', 'c'] as const; const d = { b: 'e' };",
      ["const a = ['c', 'c'] as const; const d = { b: 'e' };", "const a = ['b', 'b'] as const; const d = { b: 'e' };"],
    ],
    ['property', 'f({ a, b: c });', ['f({ b: c });', 'f({ a, });']],
    ['property', 'f({ a: undefined });', []],
  ])('%s: %s', (mutator, source, mutants) => {
    expect(after(source, mutator)).toEqual(mutants);
  });

  test.each([
    "import { a } from './a.ts';",
    "export { a } from './a.ts';",
    'export interface A { readonly b: 1 | 2; c?: true }',
    'export type A = { a: 1 }[];',
    'let a: 1 | 2 = b as 1;',
    "// if (a < b) f('1 + 1');",
    `const a = \`\${b + 1} tasks wait\`;`,
    "const a = 'it is 1 < 2';",
    "assert(a < 1, 'one');",
    'assert.equal(a + 1, b);',
    'log.info({ a: 1 });',
    'const a = () => b.toSorted((c) => (c < d ? -1 : 1)).map(e);',
  ])('nothing in %s', (source) => {
    expect(after(source)).toEqual([]);
  });

  test('lines, and the whole text with the mutant in it', () => {
    const [mutant] = plant('a.ts', 'f();\n\n/* — */ if (\n  a)\n  f(1);\n').filter(
      ({ mutator }) => mutator === 'condition',
    );
    expect(mutant).toEqual({
      file: 'a.ts',
      line: 4,
      mutator: 'condition',
      before: 'a)',
      after: 'true)',
      text: 'f();\n\n/* — */ if (\n  true)\n  f(1);\n',
    });
  });

  test('unions are found in types, tags, lists, tables and schemas', () => {
    const source = `
      type A = 'a' | 'b' | undefined;
      type B = { kind: 'c'; a: 'x' } | { kind: 'd' };
      const c = ['e', 'f'] as const;
      const d = { g: 1, h: 2 } as const satisfies Record<string, number>;
      const e = z.enum(['i', 'j']);
    `;
    expect(unionsOf(parse(source))).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e', 'f'],
      ['g', 'h'],
      ['i', 'j'],
    ]);
  });
});

test('a seed repeats its order', () => {
  const items = Array.from({ length: 100 }, (_, at) => at);
  expect(shuffled(items, 1)).toEqual(shuffled(items, 1));
  expect(shuffled(items, 1)).not.toEqual(shuffled(items, 2));
  expect(shuffled(items, 1).toSorted((a, b) => a - b)).toEqual(items);
});

test('a diff gives the lines that are new', () => {
  const diff = '--- a.ts\n+++ a.ts\n@@ -1 +1,2 @@\n@@ -9,2 +10,0 @@\n--- b.ts\n+++ b.ts\n@@ -0,0 +7 @@\n';
  expect([...rangesOf(diff)]).toEqual([
    ['a.ts', [[1, 2]]],
    ['b.ts', [[7, 7]]],
  ]);
});

test('a line of the summary', () => {
  const mutant: Mutant = { file: 'src/core/a.ts', line: 1, mutator: '', before: '', after: '', text: '' };
  const verdicts: Verdict[] = [
    { status: 'killed', by: '' },
    { status: 'killed', by: '' },
    { status: 'survived' },
    { status: 'invalid', why: '' },
  ];
  const judged: Judged[] = verdicts.map((verdict) => ({ mutant, verdict }));
  const same = { file: '', before: '', after: '', reason: '' };
  judged.push({ mutant, verdict: { status: 'survived' }, equivalent: same });
  expect([...countBy(judged, roomOf)].map(([room, count]) => countLine(room, count))).toEqual([
    'core: 3 planted, 2 killed, 1 survived (33.3 %); apart: 1 equivalent, 1 that do not load or compile',
  ]);
});

test.each(equivalents)('$after of $file, which is called equivalent, is a mutant of today', (one) => {
  const source = readFileSync(fileURLToPath(new URL(`../../${one.file}`, import.meta.url)), 'utf8');
  expect(plant(one.file, source).some((mutant) => isEquivalent(mutant, one))).toBe(true);
});

describe('a tiny tree', () => {
  const root = mkdtempSync(join(realpathSync(tmpdir()), 'tiny-'));
  const put = (file: string, text: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  const source = `export function sum(of: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < of.length; at += 1) sum += of[at]!;
  void (sum > 1);
  return sum;
}
`;
  const verdicts = new Map<string, Verdict>();
  const mutants = plant('src/sum.ts', source).filter(({ after }) =>
    ['sum -= of', 'sum >= 1', 'sum = 1'].some((part) => after.includes(part)),
  );
  const [hanging] = plant('src/sum.ts', source).filter(({ after }) => after.includes('at -= 1'));

  beforeAll(async () => {
    put('src/sum.ts', source);
    put('src/alone.ts', '');
    put('test/none.test.ts', '');
    put(
      'test/sum.test.ts',
      `import { expect, test } from 'vitest';
       import { sum } from '../src/sum.ts';
       test('sums', () => expect(sum([1, 2])).toBe(3));`,
    );
    const broken: Mutant = { ...mutants[0]!, after: 'throw', text: "throw new Error('no');" };
    await judge([...mutants, broken, hanging!], {
      root,
      modules: realpathSync(fileURLToPath(new URL('../../node_modules', import.meta.url))),
      workers: 1,
      limitMs: (tookMs) => tookMs + 2000, // only the one that hangs takes so long, on a busy machine too
      tests: relatedTests(root, ['test/sum.test.ts', 'test/none.test.ts']),
      judged: ({ after }, verdict) => verdicts.set(after, verdict),
    });
  });
  afterAll(() => rmSync(root, { recursive: true }));

  test('tests are related to what they load', () => {
    const related = relatedTests(root, ['test/sum.test.ts', 'test/none.test.ts']);
    expect(related.get('src/sum.ts')).toEqual(['test/sum.test.ts']);
    expect(related.get('src/alone.ts')).toBeUndefined();
  });

  test('what a test notices is killed, what changes nothing survives, what hangs is killed, what never loads is neither', () => {
    const line = 'for (let at = 0; at < of.length; at += 1) sum += of[at]!;';
    expect(Object.fromEntries(verdicts)).toEqual({
      'let sum = 1;': { status: 'killed', by: expect.any(String) },
      [line.replace('sum +=', 'sum -=')]: { status: 'killed', by: expect.any(String) },
      [line.replace('at += 1', 'at -= 1')]: { status: 'killed', by: 'the time limit' },
      'void (sum >= 1);': { status: 'survived' },
      throw: { status: 'invalid', why: expect.stringContaining('does not load') },
    });
    expect(readFileSync(join(root, 'src/sum.ts'), 'utf8')).toBe(source);
  });
});
