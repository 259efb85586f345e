import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configurationKeys, keyTexts } from '../man/generator/configuration.ts';
import { generatedPages } from '../man/generator/generate.ts';
import { builtinTypes } from '../src/broker/collector-declaration.ts';
import { builtin } from '../src/collectors/builtin.ts';
import { placements } from '../src/core/placement.ts';
import { collectorMethods } from '../src/protocol/collector-method.ts';
import { callFaults, commonFaults, faultTable } from '../src/protocol/fault.ts';
import { limitKey, limitTable } from '../src/protocol/limits.ts';
import { methodTable } from '../src/protocol/message.ts';
import { filesIn, importCycle, reached, read, root, type Source, source } from './source.ts';

const src = new Map([...filesIn('src')].map((file) => [file, source(file)]));
const commands = new Map(filesIn('commands').map((file) => [file, source(file)]));
const all: ReadonlyMap<string, Source> = new Map([...src, ...commands]);
const each = (sources: ReadonlyMap<string, Source>) => [...sources.values()].map((one) => [one.file, one] as const);

/** Which room may import from which. A room may always import from itself. */
const mayImport: Record<string, readonly string[]> = {
  protocol: [],
  time: [],
  text: [],
  core: ['protocol', 'time'],
  relay: ['protocol', 'time'],
  store: ['core', 'journal', 'book', 'protocol', 'text', 'transport'], // for its lock of a file
  archive: ['store', 'core', 'journal', 'book', 'protocol'],
  migration: ['store', 'core', 'protocol'],
  journal: [],
  book: ['core', 'protocol'],
  transport: [],
  configuration: ['transport', 'text'],
  supervisor: ['protocol'],
  broker: [
    'core',
    'relay',
    'store',
    'migration',
    'transport',
    'configuration',
    'supervisor',
    'protocol',
    'time',
    'text',
  ],
  client: ['configuration', 'transport', 'protocol'],
  collector: ['client', 'protocol'],
  collectors: ['collector'],
  tui: ['client', 'protocol', 'text'],
  cli: ['broker', 'client', 'configuration', 'archive', 'store', 'supervisor', 'transport', 'protocol', 'tui', 'text'],
  commands: ['cli', 'collectors', 'configuration', 'protocol', 'text'],
  main: ['cli'],
  src: ['broker', 'client', 'collector', 'configuration', 'protocol', 'transport'],
};

const roomOf = (file: string): string => {
  const [top = '', room = ''] = file.split('/');
  if (file === 'src/main.ts') return 'main';
  return top === 'commands' ? 'commands' : /\.tsx?$/.test(room) ? 'src' : room;
};

describe('imports point one way', () => {
  test.each(each(all))('%s', (_, { file, imports }) => {
    const from = roomOf(file);
    for (const { specifier, file: target } of imports)
      if (target !== undefined && roomOf(target) !== from)
        expect(mayImport[from], `${file} imports ${specifier}`).toContain(roomOf(target));
  });

  test('every room stands in the table, and only rooms do', () => {
    expect(Object.keys(mayImport).sort()).toEqual([...new Set([...all.keys()].map(roomOf))].sort());
  });

  test('no file imports itself by way of others', () => expect(importCycle(all)).toBeUndefined());

  test('a cycle would be found', () => {
    const to = (file: string, typeOnly = false) => ({ specifier: file, file, typeOnly });
    const fake = (file: string, ...imports: Source['imports']): [string, Source] => [
      file,
      { ...src.get('src/main.ts')!, file, imports },
    ];
    const round = [fake('a', to('b')), fake('b', to('c')), fake('c', to('b'))] as const;
    expect(importCycle(new Map(round))).toEqual(['b', 'c', 'b']);
    expect(importCycle(new Map([fake('a', to('b')), fake('b', to('a', true))]))).toBeUndefined();
  });

  test('the store and the book know of the core what records are, and nothing that runs tasks', () => {
    const ofRecords = ['body', 'bytes', 'record-bytes', 'record-size', 'replay'].map((name) => `src/core/${name}.ts`);
    for (const [file, { imports }] of src)
      if (['store', 'archive', 'migration', 'book'].includes(roomOf(file)))
        for (const { specifier, file: target, typeOnly } of imports)
          if (target !== undefined && roomOf(target) === 'core' && !ofRecords.includes(target))
            expect(typeOnly, `${file}: ${specifier}`).toBe(true);
  });
});

describe('the core is a function', () => {
  const core = [...src.keys()].filter((file) => roomOf(file) === 'core');

  test.each(core)('%s does not wait', (file) => expect(src.get(file)!.awaits).toBe(false));

  test.each([...reached(core, src)].sort())('%s, which it runs, has no clock, no chance and no I/O', (file) => {
    const { references, imports, members } = src.get(file)!;
    const banned = ['Date', 'performance', 'process', 'crypto', 'console', 'fetch', 'queueMicrotask', 'WeakRef'];
    for (const name of [...banned, 'setTimeout', 'setInterval', 'setImmediate']) expect(references).not.toContain(name);
    expect(members).not.toContain('Math.random');
    for (const { specifier, typeOnly } of imports)
      if (specifier.startsWith('node:') && !typeOnly) expect(specifier).toMatch(/^node:(assert|zlib$)/); // zlib for its CRC-32
  });
});

describe('files are short enough to read', () => {
  test.each(each(all))('%s', (_, { file, lines }) => {
    const room = roomOf(file);
    const most = room === 'commands' ? 60 : room === 'core' ? 200 : 300;
    expect(lines).toBeLessThanOrEqual(most);
  });
});

describe('words', () => {
  /** Words that were replaced; each as a part of any identifier. */
  const parts = ['heard', 'said', 'receipt', 'receipts', 'receipted', 'adopt', 'adopted', 'offer', 'offers', 'offered'];
  /** And those that are banned only as a whole, since they are a part of others rightly. */
  const whole = [
    ...['self', 'Party', 'Outlet', 'OwnCalls', 'Wakefulness', 'takeNoMore', 'deadlineMs', 'phase', 'Release'],
    ...['GiveUp', 'TryElsewhere', 'RetryAfter', 'Strategies', 'forget', 'helloShape', 'faultShape'],
  ];
  /** A collector offers operations. */
  const rightly = new Set(['offered', 'operationsOffered']);
  test.each(each(all))('%s uses the words of the field', (_, { identifiers }) => {
    for (const identifier of identifiers) {
      expect(whole, identifier).not.toContain(identifier);
      const pieces = identifier.split(/_|(?=[A-Z])/).map((piece) => piece.toLowerCase());
      for (const piece of rightly.has(identifier) ? [] : pieces) expect(parts, identifier).not.toContain(piece);
    }
  });

  test('no two exported types share a name, in the tests neither', () => {
    const homes = new Map<string, string[]>();
    for (const { file, exportedTypes } of [...all.values(), ...filesIn('test').map(source)])
      for (const name of exportedTypes) homes.set(name, [...(homes.get(name) ?? []), file]);
    expect([...homes].filter(([, files]) => files.length > 1)).toEqual([]);
  });
});

test('the configuration knows the collectors that come with deye', () => {
  expect(builtinTypes).toEqual(Object.keys(builtin));
});

test('no barrels but one', () => {
  for (const file of src.keys())
    if (file !== 'src/index.ts') expect(read(file), file).not.toMatch(/^export .* from '/m);
});

test('whatever is exported is used elsewhere', () => {
  const files = [...all.keys(), ...filesIn('test'), ...filesIn('man')];
  const words = new Map(files.map((file) => [file, new Set(read(file).match(/\w+/g))]));
  for (const { file, exports } of src.values())
    for (const name of exports) {
      const isUsed = files.some((other) => other !== file && words.get(other)!.has(name));
      // Every type of these is for users of the package.
      const isPublic = read('src/index.ts').includes(`export type * from './${file.slice('src/'.length)}'`);
      expect(isUsed || isPublic, `${name} of ${file}`).toBe(true);
    }
});

describe('the pages', () => {
  const pages = readdirSync(join(root, 'man'), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
  const plainPage = (name: string) => read(join('man', name)).replaceAll('\\-', '-').replaceAll('\\(aq', "'");

  test('are fresh: npm run man changes nothing', () => {
    for (const [name, text] of generatedPages(root))
      expect(read(join('man', name)), `${name}: run npm run man`).toBe(text);
  });
  test('there is none of a command that is gone', () => {
    const generated = generatedPages(root);
    for (const file of pages) expect(generated.has(file) || file === 'deye-design.7', file).toBe(true);
  });
  test('are all installed with the package, and what makes them is not', () => {
    const { man, files } = JSON.parse(read('package.json')) as { man: string[]; files: string[] };
    expect(man).toEqual(pages.map((file) => `./man/${file}`));
    expect(files.filter((pattern) => pattern.startsWith('man'))).toEqual(['man/*.1', 'man/*.7']);
  });
  test('the protocol page names every method, fault and limit', () => {
    const page = plainPage('deye-protocol.7');
    for (const name of [
      ...Object.keys(methodTable),
      ...Object.keys(collectorMethods),
      ...Object.keys(faultTable),
      ...Object.keys(limitTable).map(limitKey),
    ])
      expect(page).toContain(name);
    expect(page).toContain(commonFaults.join(', '));
    expect(page).toContain(callFaults.join(', '));
    for (const name of Object.keys(limitTable)) if (/[A-Z]/.test(name)) expect(page).not.toContain(name);
  });
  test('the protocol page says which faults close, what observers may publish, how names are spelt', () => {
    const page = plainPage('deye-protocol.7');
    const closing = Object.entries(faultTable).filter(([, { closes }]) => closes);
    expect(page).toContain(`These end the session, in a goodbye: ${closing.map(([code]) => code).join(', ')}.`);
    expect(page).toContain('An observer may publish on health.#, control.health.#, events.*.anomaly, and on nothing');
    for (const rule of ['1 to 64 of a-z 0-9 _ -', 'at most 256 bytes', 'cumulative', 'wait_ms_max', 'waits_max'])
      expect(page).toContain(rule);
  });
  test('the page on tasks names every strategy with what it does', () => {
    const page = plainPage('deye-tasks.7');
    for (const [name, { summary }] of placements) expect(page).toContain(`\\fB${name}\\fR\n${summary}`);
  });
  test('deye(1) explains every key of deye.yaml', () => {
    const page = plainPage('deye.1');
    for (const key of configurationKeys()) {
      expect(keyTexts, key).toHaveProperty([key]);
      expect(page).toContain(key);
    }
  });
});

test('nothing in the tree is left to be done later in silence', () => {
  for (const file of [...all.keys(), ...filesIn('test'), ...filesIn('man')])
    if (file !== 'test/tidy.test.ts')
      expect(read(file), file).not.toMatch(/\b(TODO|FIXME|XXX)\b|test\.(only|todo)|expect\(true\)/);
});
