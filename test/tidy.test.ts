import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { builtinTypes } from '../src/broker/collector-declaration.ts';
import { builtin } from '../src/collectors/builtin.ts';
import { generatedPages } from '../src/man/generate.ts';
import { faultTable } from '../src/protocol/fault.ts';
import { limitTable } from '../src/protocol/limits.ts';
import { methodTable } from '../src/protocol/message.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = (directory: string): string[] =>
  readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .map((file) => join(directory, file))
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts') && statSync(join(root, file)).isFile());
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Which room may import from which. A room may always import from itself. */
const mayImport: Record<string, readonly string[]> = {
  protocol: [],
  time: [],
  core: ['protocol', 'time'],
  relay: ['protocol', 'time'],
  store: ['core', 'protocol'],
  transport: [],
  supervisor: ['protocol'],
  broker: ['core', 'relay', 'store', 'transport', 'supervisor', 'protocol', 'time'],
  client: ['transport', 'protocol'],
  collector: ['client', 'protocol'],
  collectors: ['collector'],
  tui: ['client', 'protocol'],
  man: ['core', 'protocol'],
  cli: ['broker', 'client', 'supervisor', 'transport', 'protocol', 'tui'],
  commands: ['cli', 'collectors', 'protocol', 'tui'],
  src: ['broker', 'client', 'collector', 'protocol', 'transport'],
};

const roomOf = (file: string): string => {
  const [top = '', room = ''] = file.split('/');
  return top === 'commands' ? 'commands' : /\.tsx?$/.test(room) ? 'src' : room;
};

describe('imports point one way', () => {
  test.each([...files('src'), ...files('commands')])('%s', (file) => {
    const from = roomOf(file);
    for (const [, specifier] of read(file).matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      const target = roomOf(relative(root, join(root, dirname(file), specifier!)));
      if (target !== from) expect(mayImport[from], `${file} imports ${specifier}`).toContain(target);
    }
  });

  test('the store takes types only from the core', () => {
    for (const file of files('src/store'))
      for (const [statement] of read(file).matchAll(/import[^;]*core\/[^;]*;/g))
        expect(statement).toMatch(/^import type/);
  });
});

describe('the core is a function', () => {
  test.each(files('src/core'))('%s has no clock, no chance, no await', (file) => {
    const code = read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    for (const banned of [
      /Date\.now/,
      /performance\./,
      /Math\.random/,
      /\bawait\b/,
      /\basync\b/,
      /setTimeout|setInterval|setImmediate/,
      /from 'node:(?!assert)/,
    ])
      expect(code).not.toMatch(banned);
  });
});

test.each([...files('src'), ...files('commands')])('%s is short enough to read', (file) => {
  const lines = read(file).split('\n').length;
  expect(lines).toBeLessThanOrEqual(file.startsWith('commands') ? 60 : 390);
});

test('the configuration knows the collectors that come with deye', () => {
  expect(builtinTypes).toEqual(Object.keys(builtin));
});

test('no barrels but one', () => {
  for (const file of files('src'))
    if (file !== 'src/index.ts') expect(read(file), file).not.toMatch(/^export .* from '/m);
});

describe('the pages', () => {
  test('are fresh: npm run man changes nothing', () => {
    for (const [name, text] of generatedPages(root))
      expect(read(join('man', name)), `${name}: run npm run man`).toBe(text);
  });
  test('there is none of a command that is gone', () => {
    const generated = generatedPages(root);
    for (const file of readdirSync(join(root, 'man')))
      expect(generated.has(file) || file === 'deye-design.7', file).toBe(true);
  });
  test('are all installed with the package', () => {
    const { man } = JSON.parse(read('package.json')) as { man: string[] };
    expect(man).toEqual(
      readdirSync(join(root, 'man'))
        .sort()
        .map((file) => `./man/${file}`),
    );
  });
  test('the protocol page names every method, fault and limit', () => {
    const page = read('man/deye-protocol.7').replaceAll('\\-', '-');
    for (const name of [...Object.keys(methodTable), ...Object.keys(faultTable), ...Object.keys(limitTable)])
      expect(page).toContain(name);
  });
});

test('nothing in the tree is left to be done later in silence', () => {
  for (const file of [...files('src'), ...files('commands'), ...files('test')])
    if (file !== 'test/tidy.test.ts')
      expect(read(file), file).not.toMatch(/\b(TODO|FIXME|XXX)\b|test\.(only|todo)|expect\(true\)/);
});
