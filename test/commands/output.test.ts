import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { formats } from '../../src/cli/output.ts';
import type { Submitted } from '../../src/index.ts';
import { until } from '../broker/harness.ts';
import { World } from '../process/daemon.ts';
import { filled, Scratch } from '../store/fixture.ts';

type Format = (typeof formats)[number];

interface Case {
  /** What follows the words of the command. */
  readonly args?: readonly string[] | (() => Promise<readonly string[]>);
  readonly before?: () => Promise<unknown>;
  /** While the command runs. */
  readonly during?: () => Promise<unknown>;
  /** What a person sees. */
  readonly people: RegExp;
}

const scratch = new Scratch();
/** A store at rest, and what is made of it. */
const [stored, backup, exported] = ['stored', 'backup', 'exported'].map((name) => scratch.path(name)) as [
  string,
  string,
  string,
];

let world: World;
beforeAll(async () => {
  mkdirSync(stored);
  await (await filled(stored)).close();
  world = new World();
  const up = await world.run(['up']);
  expect(up.code, up.stderr).toBe(0);
  expect((await world.run(['store', 'backup', backup, '--state-dir', stored])).code).toBe(0);
  expect((await world.run(['store', 'export', exported, '--state-dir', stored])).code).toBe(0);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const json = async <T>(...args: string[]): Promise<T> => JSON.parse((await world.run([...args, '--json'])).stdout) as T;
const waiting = async () => [(await json<Submitted>('task', 'submit', 'dream')).id];
const done = async () => [(await json<Submitted>('task', 'submit', 'enumerate_processes', '--wait')).id];
const status = async (wanted: string) =>
  until(async () => (await json<{ status: string }>('collectors', 'show', 'procmond')).status === wanted, wanted);

/** A way to run every command of the manifest but those that print no data. */
const cases: Readonly<Record<string, Case>> = {
  'broker:logs': { people: /info +broker/, args: ['-n', '3'] },
  'broker:start': { people: /already running/ },
  'broker:status': { people: /^status +running/ },
  'broker:stop': { people: /stopped/, before: () => world.run(['up']) },
  call: { args: ['procmond', 'get_capabilities'], people: /"operations"/ },
  'collectors:health': { args: ['procmond'], people: /^collector +procmond/ },
  'collectors:ls': { people: /^ID +TYPE/ },
  'collectors:show': { args: ['procmond'], people: /^id +procmond/ },
  'collectors:start': {
    args: ['procmond'],
    before: () => world.run(['collectors', 'stop', 'procmond']).then(() => status('stopped')),
    people: /^procmond/,
  },
  'collectors:stop': {
    args: ['procmond'],
    before: () => world.run(['collectors', 'start', 'procmond']).then(() => status('healthy')),
    people: /^procmond/,
  },
  demo: { people: /Where to go next/ },
  'routing:set': { args: ['round_robin'], people: /^strategy +round_robin/ },
  'routing:show': { people: /^strategy[\s\S]*STRATEGY +DECISIONS +WHAT IT DOES/ },
  'store:backup': { args: async () => [scratch.path(), '--state-dir', stored], people: /^The store is copied/ },
  'store:compact': { args: ['--state-dir', stored], people: /^journal/ },
  'store:export': { args: async () => [scratch.path(), '--state-dir', stored], people: /^40 tasks and 1 setting/ },
  'store:import': { args: async () => [exported, '--state-dir', scratch.path()], people: /^40 tasks and 1 setting/ },
  'store:restore': { args: async () => [backup, '--state-dir', scratch.path()], people: /^The store is restored/ },
  'store:salvage': { args: async () => [stored, scratch.path()], people: /^What is whole is in a new store/ },
  'store:status': { args: ['--state-dir', stored], people: /^store[\s\S]*live, 20 ended/ },
  'store:verify': { args: [stored], people: /verdict +whole/ },
  tap: { args: ['walk.#', '-n', '2'], during: () => publish('walk.on'), people: /walk\.on/ },
  'task:cancel': { args: waiting, people: /cancelled/ },
  'task:ls': { before: waiting, people: /^ID +OPERATION[\s\S]*no_capable_collector/ },
  'task:show': { args: waiting, people: /^id[\s\S]*waits for +no_capable_collector/ },
  'task:submit': { args: ['dream'], people: /waits/ },
  'task:wait': { args: done, people: /^id[\s\S]*completed/ },
  top: { args: ['--once'], people: /queues[\s\S]*collectors/ },
  'topic:pub': { args: ['a.b', '1'], people: /Nobody subscribes/ },
  up: { people: /socket/ },
};
const noData = ['collectors:run'];

/** Publishes until somebody has got it twice. */
async function publish(topic: string): Promise<void> {
  const got = async () => (await json<{ subscribers: number }>('topic', 'pub', topic, '{"a":1}')).subscribers === 1;
  for (let times = 0; times < 2; times++) await until(got, 'somebody subscribes');
}

const isData = (value: unknown): boolean => typeof value === 'object' && value !== null;
const lines = (stdout: string): string[] => stdout.trimEnd().split('\n');
const reads: Readonly<Record<Exclude<Format, 'table'>, (stdout: string, goesOn: boolean) => void>> = {
  json: (stdout, goesOn) => {
    // One value; of a command that goes on, one after another.
    const values = goesOn ? lines(stdout).map((line) => JSON.parse(line) as unknown) : [JSON.parse(stdout) as unknown];
    expect(values.every(isData)).toBe(true);
  },
  jsonl: (stdout) => expect(lines(stdout).every((line) => isData(JSON.parse(line)))).toBe(true),
  yaml: (stdout) => {
    const documents = parseAllDocuments(stdout);
    expect(documents.length).toBeGreaterThan(0);
    for (const document of documents) {
      expect(document.errors).toEqual([]);
      expect(isData(document.toJS())).toBe(true);
    }
  },
};

const manifest = JSON.parse(readFileSync(new URL('../../oclif.manifest.json', import.meta.url), 'utf8')) as {
  commands: Record<string, unknown>;
};

test('every command is tried', () => {
  expect(Object.keys(manifest.commands).sort()).toEqual([...Object.keys(cases), ...noData].sort());
});

// The command that stops all comes last.
const ids = Object.keys(cases).toSorted((a, b) => Number(a === 'broker:stop') - Number(b === 'broker:stop'));
describe.each(ids)('%s', (id) => {
  const { args = [], before, during, people } = cases[id]!;
  test.each(formats)('-o %s', async (format) => {
    await before?.();
    const rest = typeof args === 'function' ? await args() : args;
    const running = world.run([...id.split(':'), ...rest, '-o', format]);
    await during?.();
    const { code, stdout, stderr } = await running;
    expect(code, stderr).toBe(0);
    if (format === 'table') expect(stdout).toMatch(people);
    else reads[format](stdout, during !== undefined || id === 'broker:logs');
  });
});

describe('beside the data', () => {
  beforeAll(() => world.run(['up']));
  test('--json and another format contradict each other, and nothing is done', async () => {
    const { code, stdout, stderr } = await world.run(['task', 'submit', 'contradiction', '--json', '-o', 'yaml']);
    expect([code, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'usage', message: expect.stringMatching(/--output/) } });
    expect(await json('task', 'ls', '--operation', 'contradiction')).toMatchObject({ tasks: [] });
  });
  test('a realtime publish says that it was sent, or why it was refused', async () => {
    expect(await json('topic', 'pub', 'a.b', '1', '--realtime')).toEqual({ sent: true });
    expect(await world.run(['topic', 'pub', 'system.x', '1', '--realtime', '--json'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/"bad_topic"/),
    });
  });
  test('top goes on with snapshots for a program', async () => {
    const top = world.spawn('top', '-o', 'jsonl');
    let printed = '';
    top.stdout!.on('data', (chunk) => (printed += chunk));
    await until(() => printed.split('\n').length > 3, 'three snapshots');
    for (const line of printed.split('\n').slice(0, 3)) expect(JSON.parse(line)).toHaveProperty('broker.pid');
    top.kill('SIGINT');
  });
  test('counts agree in number', async () => {
    const tap = world.spawn('tap', 'count.#');
    await until(
      async () => (await world.run(['topic', 'pub', 'count.a', '1'])).stdout === 'Delivered to 1 subscriber.\n',
      'one subscriber',
    );
    tap.kill('SIGINT');
    await world.run(['task', 'submit', 'twice']);
    expect((await world.run(['task', 'submit', 'twice'])).stdout).toMatch(/waits behind 1 other\n/);
    expect((await world.run(['task', 'submit', 'twice'])).stdout).toMatch(/waits behind 2 others\n/);
  });
});

describe('what a payload holds', () => {
  const least = '-9223372036854775808';
  const most = '18446744073709551615';
  const numbers = `{"n":12345678901234567890,"least":${least},"most":${most},"list":[9007199254740993],"half":0.5,"one":1e3}`;
  const shown = numbers.replace('1e3', '1000');

  beforeAll(() => world.run(['up']));
  test('integers are kept and shown in all their digits', async () => {
    const { id } = await json<Submitted>('task', 'submit', 'numbers', '-p', numbers);
    const inJson = (await world.run(['task', 'show', id, '--json'])).stdout;
    expect(inJson).toContain(`"payload":${shown}`);
    const yaml = (await world.run(['task', 'show', id, '-o', 'yaml'])).stdout;
    for (const line of ['n: 12345678901234567890', `least: ${least}`, `most: ${most}`, '- 9007199254740993'])
      expect(yaml).toContain(line);
    expect((await world.run(['task', 'show', id])).stdout).toContain(shown);
    expect((await world.run(['task', 'show', id, '--full'])).stdout).toContain('"n": 12345678901234567890');
  });

  test('so are those of messages and calls', async () => {
    const tap = world.spawn('tap', 'numbers.#', '--json');
    let seen = '';
    tap.stdout!.on('data', (chunk) => (seen += chunk));
    await until(
      async () => (await json<{ subscribers: number }>('topic', 'pub', 'numbers.a', numbers)).subscribers === 1,
      'somebody subscribes',
    );
    await until(() => seen.includes(`"body":${shown}`), 'the message');
    tap.kill('SIGINT');
  });

  test.each(['18446744073709551616', '-9223372036854775809', '1e400', '12345678901234567890.5'])(
    '%s, which would change, is refused',
    async (number) => {
      const { code, stdout, stderr } = await world.run(['topic', 'pub', 'numbers.a', `{"n":[${number}]}`]);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(number);
      expect(stderr).toMatch(/^deye: The body holds .* Write it as a text\. \[usage\]\n$/);
    },
  );

  const odd = '\u0000 \u001b[31m \u007f \u009b2J \u0085 \u061c \u200b \u202e \u2028 \u2066 \ufeff \u{e0041} ü 日本 🦊';
  const raw = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

  test.each(['json', 'jsonl', 'yaml', 'table'] as const)('-o %s moves no cursor and hides nothing', async (format) => {
    const { id } = await json<Submitted>('task', 'submit', 'odd', '-p', JSON.stringify({ [odd]: [odd] }));
    for (const more of [[], ['--full']]) {
      const { stdout } = await world.run(['task', 'show', id, ...more, '-o', format]);
      expect(stdout).not.toMatch(raw);
      expect(stdout).toContain('ü 日本 🦊');
      if (format !== 'table')
        expect(format === 'yaml' ? parse(stdout) : JSON.parse(stdout)).toMatchObject({ payload: { [odd]: [odd] } });
    }
  });

  test('nor does an error for a program, or the log', async () => {
    const { stderr } = await world.run(['collectors', 'show', odd.slice(1), '--json']);
    expect(stderr).not.toMatch(raw);
    await json('call', 'broker', 'broker.shutdown', JSON.stringify({ reason: odd }));
    await until(async () => (await world.run(['broker', 'status'])).code === 69, 'it is gone');
    const log = readFileSync(join(world.state, 'broker.log'), 'utf8');
    expect(log).toContain('\\u202e');
    expect(log).not.toMatch(raw);
    for (const format of formats) expect((await world.run(['broker', 'logs', '-o', format])).stdout).not.toMatch(raw);
  });

  test('nor does the log in the foreground', async () => {
    const broker = await world.broker();
    let printed = '';
    broker.stderr!.on('data', (chunk) => (printed += chunk));
    await json('call', 'broker', 'broker.shutdown', JSON.stringify({ reason: odd }));
    await until(() => printed.includes('\\u202e'), 'the reason is logged');
    expect(printed).not.toMatch(raw);
  });
});
