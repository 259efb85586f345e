/** The supervisor over real processes; who has registered is played. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isAlive } from '../../src/supervisor/alive.ts';
import type { Declared } from '../../src/supervisor/child.ts';
import { identify } from '../../src/supervisor/identity.ts';
import { Supervisor, type SupervisorOptions } from '../../src/supervisor/supervisor.ts';
import { until } from '../until.ts';

let directory = '';
let recordsFile = '';
let log: { collector_id?: string; component: string; msg: string; pid?: number }[] = [];
let supervisors: Supervisor[] = [];
let strangers: ChildProcess[] = [];
const registered = new Map<string, number>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'deye-supervisor-'));
  recordsFile = join(directory, 'children.json');
  log = [];
  supervisors = [];
  strangers = [];
  registered.clear();
});
afterEach(async () => {
  for (const supervisor of supervisors) await supervisor.stopAll('immediate');
  for (const stranger of strangers) stranger.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const declare = (id: string, command: string, args: string[] = [], more: Partial<Declared> = {}): Declared => ({
  id,
  type: id,
  command,
  args,
  env: {},
  inherit_env: true,
  auto_restart: true,
  max_restarts: 3,
  restart_window_ms: 60_000,
  backoff_ms: 10,
  startup_timeout_ms: 60_000,
  ...more,
});

function supervise(declared: Declared[], options: Partial<SupervisorOptions> = {}): Supervisor {
  const supervisor = new Supervisor(declared, {
    log: pino({ base: null }, { write: (line: string) => void log.push(JSON.parse(line)) }),
    startsSoon: true,
    registeredPid: (id) => registered.get(id),
    requestStop: () => Promise.reject(new Error('not connected')),
    recordsFile,
    lineBytesMax: 1000,
    reclaimMs: 300,
    requestGraceMs: 1000,
    ...options,
  });
  supervisors.push(supervisor);
  return supervisor;
}

const view = (supervisor: Supervisor, id: string) =>
  supervisor.absent(new Set()).find(({ collector_id }) => collector_id === id)!;
const records = (): Record<string, { pid: number }> => JSON.parse(readFileSync(recordsFile, 'utf8'));
const printed = (id: string): string[] =>
  log.filter(({ component, collector_id }) => component === 'collector' && collector_id === id).map(({ msg }) => msg);

/** A process that an earlier broker might have started. */
async function stranger(...args: string[]): Promise<number> {
  const child = spawn(args[0] ?? 'sleep', args.length > 1 ? args.slice(1) : ['600'], { stdio: 'ignore' });
  strangers.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  return child.pid!;
}

test('a program that cannot be started: said by startAll, quarantined at once, with the reason in its status', async () => {
  const plain = join(directory, 'plain.txt');
  writeFileSync(plain, 'no program');
  chmodSync(plain, 0o600);
  const supervisor = supervise([
    declare('a', 'no-such-program-anywhere'),
    declare('b', '/no/such/program'),
    declare('c', 'sleep', ['600'], { working_dir: '/no/such/directory' }),
    declare('d', plain),
    declare('e', 'sleep', ['600']),
  ]);
  const failures = await supervisor.startAll();
  expect(failures).toEqual([
    { collector_id: 'a', reason: 'it cannot be started: the program no-such-program-anywhere is not in the PATH' },
    { collector_id: 'b', reason: 'it cannot be started: the program /no/such/program is not there' },
    { collector_id: 'c', reason: 'it cannot be started: its working_dir /no/such/directory is not there' },
    { collector_id: 'd', reason: `it cannot be started: the program ${plain} may not be executed` },
  ]);
  for (const { collector_id, reason } of failures)
    expect(view(supervisor, collector_id)).toMatchObject({ status: 'quarantined', status_reason: reason, pid: 0 });
  // Once it is there, it can be started by command.
  chmodSync(plain, 0o700);
  writeFileSync(plain, '#!/bin/sh\nexec sleep 600\n');
  expect(supervisor.start('d')).toBeUndefined();
  await until(() => view(supervisor, 'd').pid > 0, 'it runs');
});

test('a crash loop is restarted with backoff and then quarantined', async () => {
  const supervisor = supervise([declare('bad', 'sh', ['-c', 'echo once; exit 3'])]);
  await supervisor.startAll();
  await until(() => view(supervisor, 'bad').status === 'quarantined', 'quarantine');
  expect(view(supervisor, 'bad').status_reason).toBe('4 exits in 60 s; the last: it exited with 3');
  expect(printed('bad')).toEqual(['once', 'once', 'once', 'once']);
});

test('a crash loop is one, wherever the wall clock is set meanwhile', async () => {
  let wallMs = Date.now();
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => (wallMs += 3_600_000));
  const supervisor = supervise([declare('bad', 'sh', ['-c', 'exit 3'], { backoff_ms: 1 })]);
  await supervisor.startAll();
  const restarts = () => log.filter(({ msg }) => /is started again$/.test(msg)).length;
  await until(() => view(supervisor, 'bad').status === 'quarantined' || restarts() > 3, 'it has ended four times');
  expect([view(supervisor, 'bad').status, restarts()]).toEqual(['quarantined', 3]);
  clock.mockRestore();
});

test('output is logged by line, and a line that is too long is cut', async () => {
  const supervisor = supervise([
    declare('loud', 'sh', [
      '-c',
      'echo first; head -c 100000000 /dev/zero | tr "\\\\0" x; echo; echo last >&2; exec sleep 600',
    ]),
  ]);
  await supervisor.startAll();
  await until(() => printed('loud').length === 3, 'three lines');
  expect(printed('loud')).toEqual(['first', `${'x'.repeat(1000)} … cut at 1000 bytes`, 'last']);
});

test('the environment: all of it, the essential, or what is named', async () => {
  process.env.DEYE_TEST_SECRET = 'secret';
  process.env.DEYE_TEST_NAMED = 'named';
  const show = ['-c', 'echo "$DEYE_TEST_SECRET,$DEYE_TEST_NAMED,$OWN,$(test -n "$PATH" && echo path)"; exec sleep 600'];
  const own = { env: { OWN: 'own' } };
  const supervisor = supervise([
    declare('all', 'sh', show, own),
    declare('none', 'sh', show, { ...own, inherit_env: false }),
    declare('some', 'sh', show, { ...own, inherit_env: ['DEYE_TEST_NAMED'] }),
  ]);
  await supervisor.startAll();
  await until(() => ['all', 'none', 'some'].every((id) => printed(id).length === 1), 'all have printed');
  expect(printed('all')).toEqual(['secret,named,own,path']);
  expect(printed('none')).toEqual([',,own,path']);
  expect(printed('some')).toEqual([',named,own,path']);
});

test('children are written down while they run', async () => {
  const supervisor = supervise([declare('a', 'sleep', ['600']), declare('b', 'sleep', ['600'])]);
  await supervisor.startAll();
  const [a, b] = [view(supervisor, 'a').pid, view(supervisor, 'b').pid];
  expect(records()).toEqual({ a: identify(a), b: identify(b) });
  process.kill(b, 'SIGKILL');
  await until(() => records().b !== undefined && records().b!.pid !== b, 'another is written down');
  await supervisor.stopAll('graceful');
  expect(records()).toEqual({});
  expect(isAlive(a)).toBe(false);
});

test('a program that outlived its broker is ended before another is started', async () => {
  const pid = await stranger();
  writeFileSync(recordsFile, JSON.stringify({ a: identify(pid) }));
  const supervisor = supervise([declare('a', 'sleep', ['600'])]);
  await supervisor.startAll();
  expect(view(supervisor, 'a')).toMatchObject({
    status: 'starting',
    pid: 0,
    status_reason: expect.stringMatching(String(pid)),
  });
  await until(() => view(supervisor, 'a').pid > 0, 'another runs');
  expect(isAlive(pid)).toBe(false);
  expect(view(supervisor, 'a').pid).not.toBe(pid);
  expect(log.map(({ msg }) => msg)).toContainEqual(expect.stringMatching(/did not register in 300 ms and is ended/));
});

test('one that ignores SIGTERM is killed', async () => {
  const pid = await stranger('sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done');
  writeFileSync(recordsFile, JSON.stringify({ a: identify(pid) }));
  const supervisor = supervise([declare('a', 'sleep', ['600'])], { termGraceMs: 200 });
  await supervisor.startAll();
  await until(() => view(supervisor, 'a').pid > 0, 'another runs');
  expect(isAlive(pid)).toBe(false);
});

test('one that comes back is taken back: it is not started twice, and stopped with the broker', async () => {
  const pid = await stranger();
  writeFileSync(recordsFile, JSON.stringify({ a: identify(pid) }));
  const supervisor = supervise([declare('a', 'sleep', ['600'])], { reclaimMs: 60_000 });
  await supervisor.startAll();
  registered.set('a', pid);
  await until(() => /started by an earlier broker$/.test(view(supervisor, 'a').status_reason), 'it is taken back');
  expect(isAlive(pid)).toBe(true);
  expect(records()).toEqual({ a: identify(pid) });
  await supervisor.stopAll('graceful');
  expect(isAlive(pid)).toBe(false);
  expect(records()).toEqual({});
});

test('a pid that is used by another process by now is left alone', async () => {
  const pid = await stranger();
  writeFileSync(
    recordsFile,
    JSON.stringify({ a: { pid, started: 'another time' }, gone: { pid, started: 'another time' } }),
  );
  const supervisor = supervise([declare('a', 'sleep', ['600'])]);
  await supervisor.startAll();
  expect(view(supervisor, 'a').pid).toBeGreaterThan(0);
  await supervisor.stopAll('immediate');
  expect(isAlive(pid)).toBe(true);
});

test('what is declared no more is ended', async () => {
  const pid = await stranger();
  writeFileSync(recordsFile, JSON.stringify({ removed: identify(pid) }));
  await supervise([]).startAll();
  await until(() => !isAlive(pid) && records().removed === undefined, 'it is ended and forgotten');
});

test('a damaged list of children is no reason not to start', async () => {
  writeFileSync(recordsFile, '{"a": {"pid": -1}}');
  const supervisor = supervise([declare('a', 'sleep', ['600'])]);
  expect(await supervisor.startAll()).toEqual([]);
  expect(records().a!.pid).toBe(view(supervisor, 'a').pid);
});
