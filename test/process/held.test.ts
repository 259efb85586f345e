/** A broker that holds the state directory: one that is stopping, one on another socket, and whose log it is. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

/** A broker that waits for an attempt which never ends. */
async function stopping(world: World) {
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  const collector = await world.heldAttempt();
  const stop = world.spawn('broker', 'stop');
  const announced = (): string => readFileSync(join(world.state, 'broker.json'), 'utf8');
  await until(() => announced().includes('"stopping"'), 'it is stopping');
  await until(() => !existsSync(world.socket), 'it listens no more');
  return { stop, collector };
}

test('while attempts may finish, everything says that it is stopping and how to wait', async () => {
  await using world = new World();
  const { stop, collector } = await stopping(world);
  for (const args of [
    ['broker', 'status'],
    ['task', 'ls'],
    ['broker', 'start'],
    ['broker', 'start', '--foreground'],
    ['up'],
  ])
    expect(await world.run(args), args.join(' ')).toMatchObject({
      code: 75,
      stdout: '',
      stderr: expect.stringMatching(
        /is stopping.*Wait until it is gone with: deye broker stop(?: --state-dir \S+)? \[broker_stopping\]\n$/,
      ),
    });
  const directory = await world.run(['broker', 'start', '--state-dir', world.state], { env: { DEYE_STATE_DIR: '' } });
  expect(directory.stderr).toContain(`deye broker stop --state-dir ${world.state} [`);
  expect((await world.run(['broker', 'logs', '--socket', world.socket])).stdout).toContain('broker stops');
  const second = world.spawn('broker', 'stop');
  let waits = '';
  second.stderr!.on('data', (chunk) => (waits += chunk));
  await until(() => waits.includes('is stopping already'), 'the second one waits, too');
  collector.kill('SIGKILL');
  await Promise.all([ended(stop), ended(second)]);
  expect([stop.exitCode, second.exitCode]).toEqual([0, 0]);
  expect(await world.run(['broker', 'status'])).toMatchObject({ code: 69 });
});

test('a stop that waits for an attempt is made immediate by a second one', async () => {
  await using world = new World();
  const { stop } = await stopping(world);
  const hurried = await world.run(['broker', 'stop', '--immediate']);
  expect(hurried).toMatchObject({ code: 0, stderr: expect.stringContaining('attempts in progress are given up') });
  await ended(stop);
  expect(await world.run(['broker', 'status'])).toMatchObject({ code: 69 });
  // The attempt is not over: its collector may reclaim it.
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  const { stdout } = await world.run(['task', 'ls', '-o', 'jsonl']);
  expect(JSON.parse(stdout)).toMatchObject({ attempt: 1 });
});

test('a broker of this state directory on another socket is not the one that was to be started', async () => {
  await using world = new World();
  const other = join(world.directory, 'run', 'other.sock');
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  for (const args of [
    ['broker', 'start', '--socket', other],
    ['broker', 'start', '--foreground', '--socket', other],
    ['up', '--socket', other],
  ]) {
    const { code, stdout, stderr } = await world.run(args);
    expect([code, stdout], args.join(' ')).toEqual([1, '']);
    expect(stderr).toContain(`listens on ${world.socket}, not on ${other}`);
    expect(stderr).toContain(`stop it with: deye broker stop --socket ${world.socket},`);
    expect(stderr).toMatch(/--state-dir of its own\. \[already_running\]\n$/);
  }
  expect(await world.run(['broker', 'start', '--socket', world.socket])).toMatchObject({ code: 0 });
});

test('the log of a broker is found by its socket', async () => {
  await using mine = new World();
  await using other = new World();
  for (const world of [mine, other])
    expect((await world.run(['broker', 'start', '--no-collectors'])).code, world.directory).toBe(0);
  const { stdout } = await mine.run(['broker', 'logs', '--socket', other.socket]);
  expect(stdout).toContain(other.socket);
  expect(stdout).not.toContain(mine.socket);
  expect((await mine.run(['broker', 'status', '--socket', other.socket])).stdout).toContain(
    join(other.state, 'broker.log'),
  );
  await other.run(['broker', 'stop']);
  const gone = await mine.run(['broker', 'logs', '--socket', other.socket]);
  expect([gone.code, gone.stdout]).toEqual([69, '']);
  expect(gone.stderr).toMatch(/only it could say where its log is.*--state-dir/);
  await other.broker();
  expect(await mine.run(['broker', 'logs', '--socket', other.socket])).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/runs in the foreground: its log is on the standard error/),
  });
});
