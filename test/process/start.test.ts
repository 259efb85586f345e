/** Starting a broker that cannot start, starts slowly, or is there already. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { segmentName } from '../../src/journal/scan.ts';
import { isAlive } from '../../src/supervisor/alive.ts';
import { damage } from '../store/fixture.ts';
import { endOfRun } from '../store/tail.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

const applicationId = 0x64657965;

/** What keeps a broker from starting, with the code and the exit code of the refusal. */
const obstacles: readonly (readonly [string, (world: World) => void, string, number])[] = [
  ['a state directory that is open', (world) => mkdirSync(world.state, { mode: 0o755 }), 'directory_unsafe', 4],
  [
    "a socket's directory that is open",
    (world) => {
      mkdirSync(dirname(world.socket));
      chmodSync(dirname(world.socket), 0o755);
    },
    'directory_unsafe',
    4,
  ],
  [
    "a file at the socket's path",
    (world) => {
      mkdirSync(dirname(world.socket), { mode: 0o700 });
      writeFileSync(world.socket, 'mine');
    },
    'socket_unsafe',
    4,
  ],
  ['a damaged store', (world) => writeFileSync(store(world), 'rubbish '.repeat(1000)), 'store_corrupt', 1],
  ['a foreign store', (world) => database(world, 'CREATE TABLE mine (id)'), 'store_foreign', 1],
  ['a link at the store', (world) => symlinkSync('elsewhere', store(world)), 'store_unsafe', 4],
  ['a link at the lock', (world) => symlinkSync('elsewhere', lock(world)), 'file_unsafe', 4],
  ['a directory at the lock', (world) => mkdirSync(lock(world)), 'file_unsafe', 4],
  [
    'a newer store',
    (world) =>
      database(world, `PRAGMA application_id = ${applicationId}; PRAGMA user_version = 9999; CREATE TABLE tasks (id)`),
    'store_newer',
    1,
  ],
];

function store(world: World): string {
  mkdirSync(world.state, { recursive: true, mode: 0o700 });
  return join(world.state, 'deye.db');
}

const lock = (world: World): string => join(dirname(store(world)), 'broker.lock');

function database(world: World, sql: string): void {
  const db = new DatabaseSync(store(world));
  db.exec(sql);
  db.close();
}

describe.each(obstacles)('%s', (_, place, code, exit) => {
  test('in the foreground: ends at once, with its exit code and the reason', async () => {
    await using world = new World();
    place(world);
    const child = world.spawn('broker', 'start', '--foreground');
    let errors = '';
    child.stderr!.on('data', (chunk) => (errors += chunk));
    await until(() => child.exitCode !== null, 'it ends');
    expect(errors).toContain(`[${code}]`);
    expect([child.exitCode, child.signalCode]).toEqual([exit, null]);
  });

  test('in the background: the same, and nothing is left running', async () => {
    await using world = new World();
    place(world);
    const { code: exitCode, stderr } = await world.run(['broker', 'start']);
    expect([exitCode, stderr]).toEqual([exit, expect.stringContaining(`[${code}]`)]);
    expect(processesOf(world)).toEqual([]);
  });

  test('embedded: the promise rejects, and the program ends by itself', async () => {
    await using world = new World();
    place(world);
    const child = world.spawnScript(`
      import { startBroker } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
      await startBroker().catch((error) => console.log(error.code));
    `);
    let output = '';
    child.stdout!.on('data', (chunk) => (output += chunk));
    await until(() => child.exitCode !== null, 'it ends by itself');
    expect([output.trim(), child.exitCode]).toEqual([code, 0]);
  });
});

test('a link at the log: refused, and what it leads to is not written to', async () => {
  await using world = new World();
  const elsewhere = join(world.directory, 'elsewhere');
  writeFileSync(elsewhere, 'mine');
  symlinkSync(elsewhere, join(dirname(store(world)), 'broker.log'));
  expect(await world.run(['broker', 'start'])).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(/broker\.log is a symbolic link\. Remove it.*\[file_unsafe\]/),
  });
  expect(readFileSync(elsewhere, 'utf8')).toBe('mine');
  expect(processesOf(world)).toEqual([]);
});

test('rubbish in the lock file does not matter; whoever holds it is still found', async () => {
  await using world = new World();
  const rubbish = 'rubbish '.repeat(1000);
  writeFileSync(lock(world), rubbish);
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  writeFileSync(lock(world), rubbish);
  const again = await world.run(['broker', 'start', '--no-collectors', '--json']);
  expect(JSON.parse(again.stdout)).toMatchObject({ already_running: true });
});

test('a lock that is removed under its holder lets no second broker onto the store', async () => {
  await using world = new World();
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  rmSync(lock(world));
  const other = ['--socket', join(dirname(world.socket), 'other.sock')];
  expect(await world.run(['broker', 'start', '--no-collectors', ...other])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`socket ${world.socket}`),
  });
  expect((await world.run(['broker', 'status'])).code).toBe(0);
});

/** Pids of the processes that run in this world, by their environment. */
function processesOf(world: World): number[] {
  const mark = `DEYE_STATE_DIR=${world.state}\0`;
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark) && isAlive(pid);
      } catch {
        return false; // it ended meanwhile
      }
    });
}

/** Loaded by the child of a background start only, before anything of deye. */
function preload(world: World, code: string): string {
  const file = join(world.directory, 'preload.mjs');
  writeFileSync(file, `import fs from 'node:fs';\nif (process.env.DEYE_DAEMON === '1') { ${code} }`);
  return `--import=${file}`;
}

/** `startInBackground` as a command calls it, with a short patience. */
const start = (silenceMs: number) => `
  import { startInBackground } from ${JSON.stringify(new URL('../../dist/src/cli/daemon.js', import.meta.url).href)};
  const progress = [];
  const outcome = await startInBackground({ collectors: false }, { silenceMs: ${silenceMs}, progress: (text) => progress.push(text) })
    .catch(({ code, message }) => ({ code, message }));
  console.log(JSON.stringify({ ...outcome, progress }));
`;

interface Outcome {
  readonly pid?: number;
  readonly code?: string;
  readonly message?: string;
  readonly progress: string[];
}

async function outcomeOf(world: World, silenceMs: number): Promise<Outcome> {
  const child = world.spawnScript(start(silenceMs));
  let output = '';
  child.stdout!.on('data', (chunk) => (output += chunk));
  await ended(child);
  return JSON.parse(output) as Outcome;
}

describe('a start that takes long', () => {
  test('is waited for while it works, and it tells what it does', async () => {
    await using world = new World();
    world.env.NODE_OPTIONS = preload(world, 'for (const untilMs = Date.now() + 3000; Date.now() < untilMs; );');
    const { pid, progress } = await outcomeOf(world, 1000);
    delete world.env.NODE_OPTIONS;
    expect(isAlive(pid!)).toBe(true);
    expect(progress).toContainEqual(expect.stringMatching(/^\w.* \(\d s\)$/));
    expect((await world.run(['broker', 'status'])).code).toBe(0);
  });

  test('says what it does to the command that waits, and on the log', async () => {
    await using world = new World();
    const patched = new URL('../../dist/src/store/journal-store.js', import.meta.url).href;
    world.env.NODE_OPTIONS = preload(
      world,
      `const { JournalStore } = await import(${JSON.stringify(patched)});
      const { load } = JournalStore.prototype;
      JournalStore.prototype.load = async function (options) {
        options.progress('folding a lot');
        await new Promise((resolve) => setTimeout(resolve, 2500));
        return load.call(this, options);
      };`,
    );
    const { pid, progress } = await outcomeOf(world, 10_000);
    delete world.env.NODE_OPTIONS;
    expect(isAlive(pid!)).toBe(true);
    expect(progress).toContain('folding a lot (1 s)');
    expect(progress.filter((text) => text.includes('(0 s)'))).toEqual([]);
    const { stdout } = await world.run(['broker', 'logs']);
    expect(stdout).toMatch(/the start takes a while.*folding a lot/);
  });

  test('is given up when it shows no sign of life, and then it is killed and named', async () => {
    await using world = new World();
    world.env.NODE_OPTIONS = preload(world, 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600_000);');
    const { code, message } = await outcomeOf(world, 700);
    expect(code).toBe('start_failed');
    const pid = /\(pid (\d+)\) showed no sign of life for 0.7 s while starting; it was killed. See .*broker.log$/.exec(
      message!,
    )?.[1];
    expect(isAlive(Number(pid))).toBe(false);
    expect(processesOf(world)).toEqual([]);
  });

  test('another start meanwhile waits for it; Ctrl-C takes a start back', async () => {
    await using world = new World();
    const marker = join(world.directory, 'go');
    const gate = preload(
      world,
      `while (!fs.existsSync(${JSON.stringify(marker)})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);`,
    );
    world.env.NODE_OPTIONS = gate.replace('--import', '--import');
    const interrupted = world.spawn('broker', 'start', '--no-collectors');
    await until(() => processesOf(world).length >= 2, 'its child is there');
    interrupted.kill('SIGINT');
    await ended(interrupted);
    expect(interrupted.exitCode).toBe(130);
    await until(() => processesOf(world).length === 0, 'its child is gone');
    const both = [
      world.run(['broker', 'start', '--no-collectors', '--json']),
      world.run(['broker', 'start', '--no-collectors', '--json']),
    ];
    writeFileSync(marker, '');
    const started = (await Promise.all(both)).map(({ code, stdout, stderr }) => {
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as { pid: number; already_running: boolean };
    });
    expect(new Set(started.map(({ pid }) => pid)).size).toBe(1);
    expect(started.map(({ already_running }) => already_running).sort()).toEqual([false, true]);
  });
});

test('a torn tail is cut, and the log says so; what stands before it is there', async () => {
  await using world = new World();
  const broker = await world.broker();
  const client = await world.client({ reconnect: false });
  const { id } = await client.submit({ operation: 'scan' });
  broker.kill('SIGKILL');
  await ended(broker);
  await client.close();
  const { segment, byte } = await endOfRun(join(world.state, 'store'));
  damage(join(world.state, 'store', 'journal', segmentName(segment)), byte, Buffer.alloc(5000, 7));
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  const { stdout } = await world.run(['broker', 'logs']);
  expect(stdout).toMatch(
    /torn tail.*5000 bytes behind batch 1 were never synced, and were cut.*kept as journal.torn-1/,
  );
  const copy = readFileSync(join(world.state, 'store', 'journal', 'journal.torn-1'));
  expect(copy.equals(Buffer.alloc(5000, 7))).toBe(true);
  expect((await world.run(['task', 'show', id])).code).toBe(0);
});

describe('a broker whose socket was removed', () => {
  test('makes it again; start and stop find it', async () => {
    await using world = new World();
    await world.run(['broker', 'start', '--no-collectors']);
    const client = await world.client({ reconnect: false });
    rmSync(dirname(world.socket), { recursive: true });
    const again = await world.run(['broker', 'start', '--no-collectors', '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject({ already_running: true });
    // At once, before it is there again.
    rmSync(dirname(world.socket), { recursive: true, force: true });
    const stop = await world.run(['broker', 'stop']);
    expect([stop.code, stop.stdout], stop.stderr).toEqual([0, expect.stringMatching(/stopped/)]);
    await client.close();
    expect(processesOf(world)).toEqual([]);
  });

  test('is stopped by its state directory when it can make none', async () => {
    await using world = new World();
    await world.run(['broker', 'start', '--no-collectors']);
    rmSync(dirname(world.socket), { recursive: true });
    symlinkSync('/nowhere', dirname(world.socket));
    const stop = await world.run(['broker', 'stop']);
    expect([stop.code, stop.stdout, stop.stderr]).toEqual([
      0,
      expect.stringMatching(/stopped/),
      expect.stringMatching(/cannot be reached on .*SIGTERM/),
    ]);
    expect(processesOf(world)).toEqual([]);
  });

  test('a socket that was named means its broker and no other', async () => {
    await using world = new World();
    await world.run(['broker', 'start', '--no-collectors']);
    const other = join(world.directory, 'run', 'other.sock');
    expect(await world.run(['broker', 'stop', '--socket', other])).toMatchObject({ code: 69 });
    expect((await world.run(['broker', 'status'])).code).toBe(0);
  });
});

test('several state directories and one stale socket: one broker has it, and it can be reached', {
  timeout: 120_000,
}, async () => {
  await using world = new World();
  for (let round = 0; round < 3; round++) {
    const brokers = Array.from({ length: 4 }, (_, at) =>
      world.spawn(
        'broker',
        'start',
        '--foreground',
        '--no-collectors',
        '--state-dir',
        join(world.directory, `state${at}`),
      ),
    );
    const errors = brokers.map(() => '');
    for (const [at, broker] of brokers.entries()) broker.stderr!.on('data', (chunk) => (errors[at] += chunk));
    await until(() => brokers.filter(({ exitCode }) => exitCode !== null).length === 3, 'three have given up');
    for (const [at, { exitCode }] of brokers.entries())
      if (exitCode !== null) expect(errors[at]).toContain('[socket_in_use]');
    await world.ready();
    const owner = brokers.find(({ exitCode }) => exitCode === null)!;
    expect(JSON.parse((await world.run(['broker', 'status', '--json'])).stdout)).toMatchObject({ pid: owner.pid });
    owner.kill('SIGKILL');
    await ended(owner);
    expect(existsSync(world.socket)).toBe(true);
  }
});

test('stop with a state directory means the broker that holds it, and never another', async () => {
  await using one = new World();
  await using other = new World();
  expect((await one.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  expect((await other.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  const env = { DEYE_SOCKET: '', XDG_RUNTIME_DIR: '' };
  const nobody = await one.run(['broker', 'stop', '--state-dir', join(one.directory, 'nobody')], { env });
  expect(nobody).toMatchObject({ code: 69, stderr: expect.stringMatching(/No broker holds the state directory/) });
  const stopped = await one.run(['broker', 'stop', '--state-dir', other.state, '--json'], { env });
  expect(stopped.code, stopped.stderr).toBe(0);
  expect((await other.run(['broker', 'status'])).code).toBe(69);
  expect((await one.run(['broker', 'status'])).code).toBe(0);
});
