import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { World } from '../process/daemon.ts';

let world: World;
beforeAll(() => {
  world = new World();
});
afterAll(() => world[Symbol.asyncDispose]());

describe('called wrongly', () => {
  const wrong: readonly [string, string[], RegExp][] = [
    [
      'a flag that is no number',
      ['task', 'submit', 'a', '--retries', 'x'],
      /--retries: Expected an integer but received: x\./,
    ],
    ['a flag that is too small', ['task', 'submit', 'a', '--retries', '-1'], /--retries: .*0 but received: -1\./],
    [
      'a missing argument',
      ['task', 'submit'],
      /Missing argument OPERATION \(what is to be done.*\)\. See: deye task submit --help/,
    ],
    ['missing arguments', ['call'], /Missing arguments TARGET \(.*\), METHOD \(such as health_check\)\./],
    ['too many arguments', ['task', 'show', 'a', 'b'], /Unexpected argument: b\./],
    ['an unknown flag', ['task', 'ls', '--nope'], /Unknown flag: --nope\./],
    ['a value that is no option', ['task', 'ls', '--state', 'odd'], /Expected --state=odd to be one of: pending, /],
    ['a command misspelt', ['task', 'sbmit'], /There is no command "task sbmit"\. Did you mean "deye task submit"\?/],
    ['a command misspelt, with arguments', ['task', 'sbmit', 'scan'], /Did you mean "deye task submit"\?/],
    ['help for what is no command', ['help', 'task', 'sbmit'], /There is no command "task sbmit"/],
    [
      'a file that is not there',
      ['task', 'submit', 'a', '-p', '@/nope'],
      /cannot be read from \/nope: there is no such file/,
    ],
    ['a directory', ['task', 'submit', 'a', '-p', '@/'], /cannot be read from \/: it is a directory/],
    ['an argument that is not JSON', ['topic', 'pub', 'a', '{oops'], /body is not JSON at line 1, column 2/],
  ];
  test.each(wrong)('%s: one line that says what is wrong, 2', async (_, args, why) => {
    const { code, stdout, stderr } = await world.run(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(why);
    expect(stderr).toMatch(/^deye: .* \[usage\]\n$/);
    expect(stderr).not.toMatch(/\\x|\t/);
  });
  test.each(wrong)('%s, for a program', async (_, args) => {
    const { code, stdout, stderr } = await world.run([...args, '--json'], { env: { NODE_ENV: 'development' } });
    expect([code, stdout]).toEqual([2, '']);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    expect(error.code).toBe('usage');
    expect(error.message).not.toMatch(/[\n\t]/);
  });
  test('suggestions are data, too', async () => {
    const { stderr } = await world.run(['brokr', 'stop', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { suggestions: ['deye broker stop'] } });
  });

  test('what is in a file or on standard input is never printed', async () => {
    const secret = join(world.directory, 'secret');
    writeFileSync(secret, 'root:$6$hash:19000\n');
    const cases: [string[], string][] = [
      [['task', 'submit', 'a', '-p', `@${secret}`], ''],
      [['task', 'submit', 'a', '-p', '-'], 'root:$6$hash:19000\n'],
      [['topic', 'pub', 'a', '-'], '{"a": 1,\n "b": hash}'],
    ];
    for (const [args, input] of cases)
      for (const more of [[], ['--json']]) {
        const { code, stdout, stderr } = await world.run([...args, ...more], { input, env: { DEYE_DEBUG: '1' } });
        expect([code, stdout]).toEqual([2, '']);
        expect(stderr).toMatch(/is not JSON at line [12], column \d/);
        expect(stderr).not.toMatch(/root|hash/);
      }
  });
});

describe('one resolution of the socket', () => {
  test('what a flag said, the hint says again, quoted', async () => {
    const socket = join(world.directory, 'my run', 'broker.sock');
    const { code, stderr } = await world.run(['task', 'ls', '--socket', socket]);
    expect([code, stderr]).toEqual([
      69,
      expect.stringContaining(`Start one with: deye broker start --socket '${socket}'`),
    ]);
    expect((await world.run(['task', 'ls'])).stderr).toMatch(/Start one with: deye broker start \[/);
  });

  test('deye.yaml names the broker for every command that runs beside it, and errors name the file', async () => {
    await using project = new World();
    delete project.env.DEYE_SOCKET;
    project.env.XDG_RUNTIME_DIR = join(project.directory, 'elsewhere');
    writeFileSync(join(project.directory, 'deye.yaml'), 'socket: run/broker.sock\n');
    for (const args of [
      ['task', 'ls'],
      ['top', '--once'],
      ['tap', 'a'],
    ]) {
      const { code, stderr } = await project.run(args, { cwd: project.directory });
      expect(code, args.join(' ')).toBe(69);
      expect(stderr).toContain(project.socket);
      expect(stderr).toContain(join(project.directory, 'deye.yaml'));
    }
  });

  test('in a folder whose deye.yaml names one broker, another one is never stopped', async () => {
    await using other = new World();
    const folder = join(other.directory, 'project');
    mkdirSync(folder);
    writeFileSync(join(folder, 'deye.yaml'), `socket: run/broker.sock\nstate_dir: state\ncollectors: []\n`);
    // The other broker is where commands look by default.
    delete other.env.DEYE_SOCKET;
    delete other.env.DEYE_STATE_DIR;
    other.env.XDG_RUNTIME_DIR = join(other.directory, 'default');
    other.env.XDG_STATE_HOME = join(other.directory, 'default-state');
    mkdirSync(other.env.XDG_RUNTIME_DIR, { mode: 0o700 });
    const deye = (args: string[], cwd: string) => other.run(args, { cwd });
    const pidOf = async (cwd: string) =>
      (JSON.parse((await deye(['broker', 'status', '--json'], cwd)).stdout) as { pid: number }).pid;
    expect(await deye(['broker', 'start', '--no-collectors'], other.directory)).toMatchObject({ code: 0 });
    const before = await pidOf(other.directory);
    try {
      const none = await deye(['broker', 'stop'], folder);
      expect(none).toMatchObject({ code: 69, stderr: expect.stringContaining(join(folder, 'run', 'broker.sock')) });
      expect(await deye(['broker', 'start'], folder)).toMatchObject({ code: 0 });
      expect(await pidOf(folder)).not.toBe(before);
      const status = await deye(['broker', 'status'], folder);
      expect(status.stdout).toContain(`(socket of ${join(folder, 'deye.yaml')})`);
      expect(await deye(['broker', 'stop'], folder)).toMatchObject({ code: 0 });
      expect(await deye(['broker', 'status'], folder)).toMatchObject({ code: 69 });
      expect(await pidOf(other.directory)).toBe(before);
    } finally {
      await deye(['broker', 'stop', '--immediate'], folder);
      await deye(['broker', 'stop', '--immediate'], other.directory);
    }
  });
});
