/** A broker in the background: where it runs, what its children get, its log. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { isAlive } from '../../src/supervisor/alive.ts';
import { speak } from '../tables/spoken.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

const status = async (world: World) =>
  JSON.parse((await world.run(['broker', 'status', '--json'])).stdout) as { pid: number; socket: string };

/** Writes down where and with what it runs, and stays: for Node, and for a shell. */
const witnessCode = (file: string): string =>
  `fs.writeFileSync(${JSON.stringify(file)}, JSON.stringify({ cwd: process.cwd(), env: process.env, pid: process.pid })); setTimeout(() => {}, 600_000)`;
const witness = (file: string): string => `node -e '${witnessCode(file)}'`;

interface Witness {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly pid: number;
}

async function witnessed(file: string): Promise<Witness> {
  await until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('}'), `${file} is written`);
  return JSON.parse(readFileSync(file, 'utf8')) as Witness;
}

const declare = (world: World, text: string): string => {
  const file = join(world.directory, 'project', 'deye.yaml');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};

test('its working directory is the state directory; relative paths still mean what they meant', async () => {
  await using world = new World();
  const project = dirname(
    declare(
      world,
      `socket: run/b.sock
state_dir: state
collectors:
  - {id: here, type: here, command: sh, args: [-c, ${JSON.stringify(witness('here.json'))}]}
  - {id: secretive, type: s, command: sh, args: [-c, ${JSON.stringify(witness('secretive.json'))}], inherit_env: [NAMED], env: {OWN: own}}
`,
    ),
  );
  world.env.DEYE_SOCKET = undefined;
  world.env.DEYE_STATE_DIR = undefined;
  Object.assign(world.env, { SECRET: 'secret', NAMED: 'named' });
  const started = await world.run(['broker', 'start', '--json'], { cwd: project });
  expect(started.code, started.stderr).toBe(0);
  const { pid, socket } = JSON.parse(started.stdout) as { pid: number; socket: string };
  expect(socket).toBe(join(project, 'run', 'b.sock'));
  expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(join(project, 'state'));
  const here = await witnessed(join(project, 'here.json'));
  expect(here.cwd).toBe(project);
  expect(here.env).toMatchObject({ SECRET: 'secret', NAMED: 'named', DEYE_SOCKET: socket, DEYE_COLLECTOR_ID: 'here' });
  const { env } = await witnessed(join(project, 'secretive.json'));
  expect(env).toMatchObject({ NAMED: 'named', OWN: 'own', DEYE_SOCKET: socket });
  expect(env).not.toHaveProperty('SECRET');
  for (const one of [here.env, env]) {
    expect(one).not.toHaveProperty('DEYE_DAEMON');
    expect(one).not.toHaveProperty('NODE_CHANNEL_FD');
  }
  expect((await world.run(['broker', 'stop', '--socket', socket])).code).toBe(0);
});

test("what the caller's shell noted of itself is not in the environment of the broker and its children", async () => {
  await using world = new World();
  const noted = { _: '/bin/x', OLDPWD: '/', PWD: world.directory, SHLVL: '3', COLUMNS: '80', LINES: '24' };
  Object.assign(world.env, noted, { KEPT: 'kept' });
  const [program, code] = [process.execPath, witnessCode('env.json')].map((text) => JSON.stringify(text));
  const file = declare(world, `collectors: [{id: here, type: here, command: ${program}, args: [-e, ${code}]}]`);
  const started = await world.run(['broker', 'start', '--config', file]);
  expect(started.code, started.stderr).toBe(0);
  const { env } = await witnessed(join(dirname(file), 'env.json'));
  expect(env).toMatchObject({ KEPT: 'kept' });
  for (const name of Object.keys(noted)) expect(env).not.toHaveProperty(name);
});

test('a relative DEYE_STATE_DIR, --config and --socket mean the directory of the caller', async () => {
  await using world = new World();
  const file = declare(world, 'collectors: []');
  world.env.DEYE_STATE_DIR = 'mine';
  world.env.DEYE_SOCKET = undefined;
  const args = ['--config', 'deye.yaml', '--socket', 'r/b.sock'];
  const started = await world.run(['broker', 'start', '--json', ...args], { cwd: dirname(file) });
  expect(started.code, started.stderr).toBe(0);
  const { socket, log } = JSON.parse(started.stdout) as { socket: string; log: string };
  expect([socket, log]).toEqual([join(dirname(file), 'r/b.sock'), join(dirname(file), 'mine/broker.log')]);
  expect((await world.run(['broker', 'stop', '--socket', 'r/b.sock'], { cwd: dirname(file) })).code).toBe(0);
});

test('every directory that is made is private, whatever the umask of the caller', async () => {
  await using world = new World();
  world.env.DEYE_STATE_DIR = join(world.directory, 'a', 'b', 'state');
  world.env.DEYE_SOCKET = join(world.directory, 'c', 'd', 'b.sock');
  const shell = world.shell('umask 0; exec "$0" "$@"', 'broker', 'start', '--no-collectors');
  await ended(shell);
  expect(shell.exitCode).toBe(0);
  for (const path of ['a', 'a/b', 'a/b/state', 'c', 'c/d'])
    expect((statSync(join(world.directory, path)).mode & 0o777).toString(8), path).toBe('700');
  for (const file of readdirSync(world.env.DEYE_STATE_DIR))
    expect(statSync(join(world.env.DEYE_STATE_DIR, file)).mode & 0o077, file).toBe(0);
});

test('a command that is missing: the broker runs and says so, the status has the reason, up ends with 1', async () => {
  await using world = new World();
  const config = declare(
    world,
    'collectors: [{id: lost, type: lost, command: no-such-program}, {id: procmond, type: procmond}]',
  );
  const start = await world.run(['broker', 'start', '--config', config]);
  expect([start.code, start.stdout]).toEqual([0, expect.stringMatching(/^The broker runs/)]);
  expect(start.stderr).toMatch(/^Collector lost is down: .*the program no-such-program is not in the PATH\.\n$/);
  const up = await world.run(['up', '--config', config]);
  expect([up.code, up.stdout]).toEqual([1, expect.stringMatching(/lost quarantined, procmond healthy/)]);
  expect(up.stderr).toMatch(/lost is quarantined: .*no-such-program is not in the PATH/);
  const show = JSON.parse((await world.run(['collectors', 'show', 'lost', '--json'])).stdout);
  expect(show).toMatchObject({ status: 'quarantined', status_reason: expect.stringMatching(/not in the PATH/) });
  await world.run(['broker', 'stop', '--immediate']);
  const json = await world.run(['broker', 'start', '--config', config, '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    collectors_failed: [{ collector_id: 'lost', reason: expect.stringMatching(/not in the PATH/) }],
  });
});

test('a program that is no SDK collector and outlives a killed broker is not there twice', async () => {
  await using world = new World();
  world.env.DEYE_LIMITS_RECLAIM_GRACE_MS = '300';
  const seen = join(world.directory, 'seen');
  const script = `echo $$ >> ${seen}; exec sleep 600`;
  const config = declare(
    world,
    `collectors: [{id: plain, type: plain, command: sh, args: [-c, ${JSON.stringify(script)}]}]`,
  );
  const pids = (): number[] => (existsSync(seen) ? readFileSync(seen, 'utf8').trim().split('\n').map(Number) : []);
  for (let round = 1; round <= 2; round++) {
    expect((await world.run(['broker', 'start', '--config', config])).code).toBe(0);
    await until(() => pids().length === round, `it was started ${round} times`);
    expect(pids().filter(isAlive)).toEqual([pids().at(-1)]);
    process.kill((await status(world)).pid, 'SIGKILL');
    await until(async () => (await world.run(['broker', 'status'])).code === 69, 'the broker is gone');
    expect(isAlive(pids().at(-1)!)).toBe(true);
  }
  // Not declared any more: it is ended all the same.
  expect((await world.run(['broker', 'start', '--config', declare(world, 'collectors: []')])).code).toBe(0);
  await until(() => !pids().some(isAlive), 'none is left');
});

test('an SDK collector that outlives a killed broker is taken back by the next one', async () => {
  await using world = new World();
  expect((await world.run(['up'])).code).toBe(0);
  const pidOf = async (): Promise<number> =>
    JSON.parse((await world.run(['collectors', 'show', 'procmond', '--json'])).stdout).pid as number;
  const pid = await pidOf();
  process.kill((await status(world)).pid, 'SIGKILL');
  await until(async () => (await world.run(['broker', 'status'])).code === 69, 'the broker is gone');
  const up = await world.run(['up']);
  expect([up.code, up.stdout]).toEqual([0, expect.stringMatching(/procmond healthy/)]);
  expect(await pidOf()).toBe(pid);
  expect((await world.run(['broker', 'stop'])).code).toBe(0);
  expect(isAlive(pid)).toBe(false);
});

test('a child that prints without end and without a newline costs neither memory nor disk', async () => {
  await using world = new World();
  const script = 'head -c 300000000 /dev/zero | tr "\\\\0" x; echo; echo done; exec sleep 600';
  const config = declare(
    world,
    `collectors: [{id: loud, type: loud, command: sh, args: [-c, ${JSON.stringify(script).replaceAll('\\\\\\\\', '\\\\')}]}]`,
  );
  expect((await world.run(['broker', 'start', '--config', config])).code).toBe(0);
  const { pid } = await status(world);
  let peak = 0;
  await until(
    () => {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]));
      return readFileSync(join(world.state, 'broker.log'), 'utf8').includes('"msg":"done"');
    },
    'all of it is printed',
    60_000,
  );
  expect(peak).toBeLessThan(300 * 1024);
  expect(statSync(join(world.state, 'broker.log')).size).toBeLessThan(200_000);
  expect(readFileSync(join(world.state, 'broker.log'), 'utf8')).toContain('cut at 65536 bytes');
  speak('outputLineBytesMax');
});

test('the log is rotated, keeps so many files, loses nothing, and is followed over it', async () => {
  await using world = new World();
  world.env.DEYE_LIMITS_LOG_BYTES_MAX = '20000';
  world.env.DEYE_LIMITS_LOG_FILES_MAX = '4';
  const go = join(world.directory, 'go');
  const lines = 1000; // some 110 kB, not faster than they can be followed
  const script = `while [ ! -e ${go} ]; do sleep 0.05; done; i=0; while [ $i -lt ${lines} ]; do echo "line $i"; i=$((i+1)); [ $((i%100)) = 0 ] && sleep 0.25; done; exec sleep 600`;
  const config = declare(
    world,
    `collectors: [{id: loud, type: loud, command: sh, args: [-c, ${JSON.stringify(script)}]}]`,
  );
  expect((await world.run(['broker', 'start', '--config', config])).code).toBe(0);
  const follower = world.spawn('broker', 'logs', '--follow', '--json');
  let followed = '';
  follower.stdout!.on('data', (chunk) => (followed += chunk));
  await until(() => followed.includes('broker ready'), 'it follows');
  writeFileSync(go, '');
  const last = `"msg":"line ${lines - 1}"`;
  await until(() => followed.includes(last), 'the follower has all');
  const numbers = (text: string): number[] =>
    [...text.matchAll(/"msg":"line (\d+)"/g)].map(([, number]) => Number(number));
  const all = Array.from({ length: lines }, (_, at) => at);
  expect(numbers(followed)).toEqual(all);
  const path = join(world.state, 'broker.log');
  const files = readdirSync(world.state)
    .filter((name) => name.startsWith('broker.log'))
    .sort();
  expect(files).toEqual(['broker.log', 'broker.log.1', 'broker.log.2', 'broker.log.3']);
  for (const file of files) {
    expect(statSync(join(world.state, file)).size).toBeLessThanOrEqual(20_000);
    expect(statSync(join(world.state, file)).mode & 0o777).toBe(0o600);
  }
  const kept = ['.3', '.2', '.1', ''].map((suffix) => readFileSync(path + suffix, 'utf8')).join('');
  expect(numbers(kept)).toEqual(all.slice(-numbers(kept).length));
  for (const line of kept.trimEnd().split('\n')) JSON.parse(line);
  // The last lines come from as many files as it takes.
  const tail = await world.run(['broker', 'logs', '-n', '150', '--json']);
  expect(numbers(tail.stdout)).toEqual(all.slice(-150));
  speak('logBytesMax');
  speak('logFilesMax');
  follower.kill('SIGKILL');
});

test('a stop tells the grace that is configured', async () => {
  await using world = new World();
  world.env.DEYE_LIMITS_STOP_GRACE_MS = '700';
  await world.broker();
  await world.heldAttempt();
  const stop = await world.run(['broker', 'stop']);
  expect([stop.code, stop.stderr]).toEqual([
    0,
    expect.stringContaining('1 attempt in progress may finish, for up to 700 ms'),
  ]);
});

test('a reader that waits for the end of standard error gets it when the command ends', async () => {
  await using world = new World();
  const main = new URL('../../dist/src/main.js', import.meta.url).pathname;
  const shell = spawn(
    'bash',
    ['-c', '"$0" "$@" 2> >(cat >/dev/null; echo reader ended)', process.execPath, main, 'up'],
    {
      env: world.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  shell.stdout.on('data', (chunk) => (output += chunk));
  await until(() => output.includes('reader ended'), 'the reader ends');
  expect((await world.run(['broker', 'status'])).code).toBe(0);
});
