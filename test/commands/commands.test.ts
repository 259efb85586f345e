import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CollectorView, Snapshot, Submitted, TaskDetail } from '../../src/index.ts';
import { until } from '../broker/harness.ts';
import { ended, World } from '../process/daemon.ts';

describe('with a broker and procmond', () => {
  let world: World;
  beforeAll(async () => {
    world = new World();
    const up = await world.run(['up']);
    expect(up.code, up.stderr).toBe(0);
    for (const word of ['socket', 'store', 'log', 'pid', 'procmond healthy', 'deye broker stop'])
      expect(up.stdout).toContain(word);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await world.run([...args, '--json']);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as T;
  };

  test('the socket is 600, its directory and the state 700', () => {
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect([
      mode(world.socket),
      mode(join(world.socket, '..')),
      mode(world.state),
      mode(join(world.state, 'broker.log')),
    ]).toEqual(['600', '700', '700', '600']);
  });

  test('a second start says who is running and exits with 0', async () => {
    const { code, stdout } = await world.run(['broker', 'start']);
    const { pid } = await json<{ pid: number }>('broker', 'status');
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`already running.*${pid}`, 's'))]);
    const again = await world.run(['broker', 'start', '--foreground']);
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining(String(pid))]);
  });

  test('a submit that is waited for gives real processes, one line of JSON', async () => {
    const { stdout } = await world.run(['task', 'submit', 'enumerate_processes', '--wait', '--json']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const task = JSON.parse(stdout) as TaskDetail & {
      result: { processes: { pid: number; name: string }[]; total: number };
    };
    expect(task.state).toBe('completed');
    expect(task.result.processes.length).toBe(task.result.total);
    expect(task.result.processes.some(({ pid }) => pid === process.pid)).toBe(true);
  });

  test('tables for people', async () => {
    const { stdout } = await world.run([
      'task',
      'submit',
      'enumerate_processes',
      '-p',
      `{"filter":{"pid":${process.pid}},"fields":["pid","name","memory_bytes"]}`,
      '--wait',
    ]);
    expect(stdout).toMatch(/^ *PID +(NAME +MEMORY_BYTES|MEMORY_BYTES +NAME)\n/);
    expect(stdout).toContain(String(process.pid));
    expect((await world.run(['collectors', 'ls'])).stdout).toMatch(
      /^ID +TYPE +STATUS[\s\S]*procmond +procmond +healthy/,
    );
    expect((await world.run(['task', 'ls', '--state', 'completed'])).stdout).toMatch(/enumerate_processes +completed/);
    expect((await world.run(['collectors', 'ls', '-o', 'yaml'])).stdout).toMatch(/- collector_id: procmond/);
  });

  test('without a capable collector the submit says so; the task waits, is shown, and is cancelled', async () => {
    const submit = await world.run(['task', 'submit', 'dream', '-p', '"of \\u001b[31msheep"', '--meta', 'a=b']);
    expect(submit.stdout).toMatch(/no_capable_collector/);
    const { tasks } = await json<{ tasks: { id: string }[] }>('task', 'ls', '--operation', 'dream');
    const show = await world.run(['task', 'show', tasks[0]!.id]);
    expect(show.stdout).toContain('of \\x1b[31msheep'); // escaped: a payload cannot colour the screen
    expect(show.stdout).toMatch(/^waits for +no_capable_collector: .*dream/m);
    expect((await world.run(['task', 'ls', '--operation', 'dream'])).stdout).toMatch(/WHY\n.*no_capable_collector: /);
    expect(await json<TaskDetail>('task', 'show', tasks[0]!.id)).toMatchObject({
      waits_for: { code: 'no_capable_collector', message: expect.stringMatching(/dream/) },
    });
    expect((await json<Submitted>('task', 'cancel', tasks[0]!.id)).state).toBe('cancelled');
    expect((await world.run(['task', 'cancel', tasks[0]!.id])).code).toBe(1);
    expect((await world.run(['task', 'wait', tasks[0]!.id])).code).toBe(3);
  });

  test('a label that no collector has is named, at submit and as long as the task waits', async () => {
    const submit = await world.run(['task', 'submit', 'enumerate_processes', '--label', 'zone=moon']);
    expect(submit.stdout).toMatch(/no_capable_collector: .*zone=moon/);
    const [id = ''] = submit.stdout.split(' ');
    expect((await world.run(['task', 'show', id])).stdout).toMatch(/^waits for +no_capable_collector: .*zone=moon/m);
    await world.run(['task', 'cancel', id]);
  });

  test('a task that fails ends with 3, a wait that is too long with 124', async () => {
    const failed = await world.run(['task', 'submit', 'enumerate_processes', '-p', '{"fields":["no_such"]}', '--wait']);
    expect([failed.code, failed.stdout]).toEqual([3, expect.stringMatching(/dead_letter[\s\S]*gave_up/)]);
    expect(await world.run(['task', 'submit', 'nobody_does_this', '--wait', '--wait-timeout', '200ms'])).toMatchObject({
      code: 124,
      stderr: expect.stringMatching(/no_capable_collector[\s\S]*deadline_exceeded/),
    });
  });

  test('bad input is refused with 2 and a reason, what is not there with 5', async () => {
    const refused: [string[], number, RegExp][] = [
      [['task', 'submit', 'enumerate_processes', '-p', '{oops'], 2, /payload is not JSON/],
      [['task', 'submit', 'Bad Operation'], 2, /operation/],
      [['task', 'submit', 'a', '--priority', 'urgent'], 2, /priority.*critical, high, normal, low/],
      [['task', 'submit', 'a', '--label', 'novalue'], 2, /key=value/],
      [['task', 'submit', 'a', '--timeout', 'soon'], 2, /duration/],
      [['task', 'submit', 'a', '--timeout', '30'], 2, /The duration 30 has no unit\. Write 30s for seconds, or 30ms/],
      [['task', 'submit', 'a', '--wait', '--wait-timeout', '1.5'], 2, /1\.5 has no unit/],
      [['call', 'procmond', 'health_check', '--timeout', '30'], 2, /no unit/],
      [['collectors', 'start', 'missing'], 5, /Collector missing is not declared.*cannot start it.*\[not_found\]/],
      [['collectors', 'stop', 'missing'], 5, /Collector missing is not declared.*cannot stop it/],
      [['task', 'submit'], 2, /OPERATION/],
      [['task', 'ls', '--state', 'odd'], 2, /Expected --state/],
      [['task', 'show', 'x'], 2, /UUIDv7/],
      [['task', 'show', '0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10'], 5, /no task/],
      [['topic', 'pub', 'Bad.Topic'], 2, /character/],
      [['topic', 'pub', 'system.x', '1'], 2, /reserved/],
      [['tap', 'a.#.b'], 2, /last segment/],
      [['call', 'nobody', 'start_collection'], 5, /no collector/],
      [['call', 'procmond', 'no_such'], 2, /no method/],
      [['call', 'any:dream', 'x'], 75, /No healthy collector/],
      [
        ['call', 'procmond', 'update_config', '{"changes":{"interval_ms":"x"}}'],
        2,
        /^deye: [^[\n]*interval_ms[^[\n]* \[\w+\]\n$/,
      ],
      [['collectors', 'show', 'nobody'], 5, /no collector/],
      [['collectors', 'run', 'nosuch'], 2, /procmond/],
      [['routing', 'set', 'best'], 2, /best[\s\S]*least_loaded[\s\S]*round_robin/],
      [['no', 'such'], 2, /no command "no such"/],
      [['task', 'ls', '--nope'], 2, /Unknown flag: --nope/],
    ];
    for (const [args, code, why] of refused)
      expect(await world.run(args), args.join(' ')).toMatchObject({
        code,
        stdout: '',
        stderr: expect.stringMatching(why),
      });
  });

  test('errors for programs', async () => {
    const { stderr } = await world.run(['task', 'show', '0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not_found' } });
  });

  test('health, calls, start and stop of collection', async () => {
    expect(await json('collectors', 'health', 'procmond')).toMatchObject({
      status: 'healthy',
      components: { collection: { status: 'collecting' } },
    });
    expect((await world.run(['collectors', 'health', 'nobody'])).code).toBe(1);
    expect(await json('call', 'procmond', 'get_capabilities')).toMatchObject({ operations: ['enumerate_processes'] });
    expect(await json('call', 'any:enumerate_processes', 'stop_collection', '{"reason":"test"}')).toEqual({
      state: 'stopped',
    });
    expect((await json<CollectorView[]>('collectors', 'ls'))[0]).toMatchObject({ status: 'stopped' });
    expect(await json<Submitted>('task', 'submit', 'enumerate_processes')).toMatchObject({ state: 'pending' });
    expect(await json('call', 'procmond', 'start_collection', '{"config_overrides":{"interval_ms":200}}')).toEqual({
      state: 'collecting',
    });
    await until(
      async () =>
        (await json<{ tasks: unknown[] }>('task', 'ls', '--state', 'pending', '--operation', 'enumerate_processes'))
          .tasks.length === 0,
      'the waiting task ran',
    );
  });

  test('tap shows routing and process events; pub prints how many subscribers got it', async () => {
    const tap = world.spawn('tap', 'control.tasks.#', 'events.process.lifecycle', 'mine.*', '--json');
    let seen = '';
    tap.stdout!.on('data', (chunk) => (seen += chunk));
    await until(
      async () => (await json<{ subscribers: number }>('topic', 'pub', 'mine.now', '{"a":1}')).subscribers === 1,
      'the tap has subscribed',
    );
    await world.run(['task', 'submit', 'enumerate_processes', '--wait']);
    await until(
      () => seen.includes('"topic":"control.tasks.procmond.procmond"') && seen.includes('"topic":"mine.now"'),
      'both came',
    );
    // One that lives across several looks of procmond.
    const child = spawn('sleep', ['60']);
    const reported = (event: string) =>
      seen.split('\n').some((line) => line.includes(`"event":"${event}"`) && line.includes(`"pid":${child.pid},`));
    await until(() => reported('start'), 'the start of a real process');
    child.kill();
    await until(() => reported('exit'), 'its exit');
    tap.kill('SIGINT');
    await ended(tap);
    expect(tap.exitCode).toBe(130);
    expect((await world.run(['topic', 'pub', 'nobody.here', '-'], { input: '[1]' })).stdout).toMatch(
      /Nobody subscribes/,
    );
  });

  test('routing is shown, changed and remembered', async () => {
    expect(await json('routing', 'set', 'round_robin')).toMatchObject({ strategy: 'round_robin' });
    expect((await world.run(['routing', 'show'])).stdout).toMatch(/strategy +round_robin[\s\S]*procmond/);
  });

  test('top: one snapshot, and a line a second off a terminal', async () => {
    const snapshot = await json<Snapshot>('top', '--once');
    expect(snapshot.collectors[0]).toMatchObject({ collector_id: 'procmond', supervised: true });
    expect(snapshot.queues.map(({ operation }) => operation)).toContain('enumerate_processes');
    expect((await world.run(['top', '--once'])).stdout).toMatch(
      /queues[\s\S]*enumerate_processes[\s\S]*collectors[\s\S]*procmond[\s\S]*routing/,
    );
    const top = world.spawn('top');
    let lines = '';
    top.stdout!.on('data', (chunk) => (lines += chunk));
    await until(() => lines.split('\n').length > 3, 'three lines');
    expect(lines.split('\n')[0]).toMatch(/^\d{4}-.*Z submit .*collectors 1\/1/);
    top.kill('SIGINT');
    await ended(top);
  });

  test('a supervised collector that is killed comes back; stopped and started by command', async () => {
    const [{ pid }] = (await json<CollectorView[]>('collectors', 'ls')) as [CollectorView];
    process.kill(pid, 'SIGKILL');
    await until(async () => {
      const [one] = await json<CollectorView[]>('collectors', 'ls');
      return one!.status === 'healthy' && one!.pid !== pid;
    }, 'it is back under another pid');
    expect((await world.run(['collectors', 'stop', 'procmond'])).code).toBe(0);
    await until(async () => (await json<CollectorView[]>('collectors', 'ls'))[0]!.status === 'stopped', 'it stopped');
    expect((await world.run(['collectors', 'stop', 'procmond'])).code).toBe(1);
    expect((await world.run(['collectors', 'start', 'procmond'])).code).toBe(0);
    await until(
      async () => (await json<CollectorView[]>('collectors', 'ls'))[0]!.status === 'healthy',
      'it runs again',
    );
  });

  test('logs', async () => {
    expect((await world.run(['broker', 'logs', '-n', '500'])).stdout).toMatch(/info +broker: broker ready/);
    const { stdout } = await world.run(['broker', 'logs', '-n', '1', '--json']);
    expect(JSON.parse(stdout)).toHaveProperty('msg');
    expect(await json('call', 'broker', 'broker.log_level', '{"level":"debug"}')).toEqual({ level: 'debug' });
    await until(async () => (await world.run(['broker', 'logs'])).stdout.includes('session closed'), 'debug lines');
  });

  test('help has examples for every command', async () => {
    const manifest = JSON.parse(readFileSync(new URL('../../oclif.manifest.json', import.meta.url), 'utf8')) as {
      commands: Record<string, { summary?: string; examples?: unknown[] }>;
    };
    for (const [id, { summary, examples }] of Object.entries(manifest.commands))
      expect([id, Boolean(summary), (examples ?? []).length > 0]).toEqual([id, true, true]);
    expect((await world.run(['task', 'submit', '--help'])).stdout).toMatch(/EXAMPLES[\s\S]*enumerate_processes --wait/);
    for (const id of ['', 'task', ...Object.keys(manifest.commands)]) {
      const words = id.split(':').filter(Boolean);
      const [long, short] = await Promise.all(['--help', '-h'].map((flag) => world.run([...words, flag])));
      expect(short, id).toEqual({ code: 0, stdout: long!.stdout, stderr: '' });
    }
  });

  test('a stop is clean: settings and tasks are there afterwards, the socket is gone', async () => {
    const { id } = await json<Submitted>('task', 'submit', 'later');
    const stop = await world.run(['broker', 'stop']);
    expect([stop.code, stop.stdout]).toEqual([0, expect.stringMatching(/stopped/)]);
    expect(await world.run(['broker', 'status'])).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/deye broker start/),
    });
    expect(statSync(world.socket, { throwIfNoEntry: false })).toBeUndefined();
    expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
    expect(await json<TaskDetail>('task', 'show', id)).toMatchObject({ state: 'pending', operation: 'later' });
    expect(await json('routing', 'show')).toMatchObject({ strategy: 'round_robin' });
    expect(await json<CollectorView[]>('collectors', 'ls')).toMatchObject([
      { collector_id: 'procmond', status: 'stopped' },
    ]);
    expect(await json('up')).toMatchObject({ already_running: true, healthy: true });
    expect(await json<CollectorView[]>('collectors', 'ls')).toMatchObject([
      { collector_id: 'procmond', status: 'healthy' },
    ]);
  });
});

describe('without a broker', () => {
  test('every command that needs one says how to start it, at once, with 69', async () => {
    await using world = new World();
    for (const args of [
      ['task', 'ls'],
      ['task', 'submit', 'a'],
      ['collectors', 'ls'],
      ['top'],
      ['top', '--once'],
      ['tap', 'a'],
      ['call', 'a', 'b'],
      ['routing', 'show'],
      ['topic', 'pub', 'a', '1'],
    ])
      expect(await world.run(args), args.join(' ')).toMatchObject({
        code: 69,
        stderr: expect.stringMatching(/No broker is running.*deye broker start.*\[broker_not_running\]/),
      });
  });

  test('a state directory that is open to others, a file, a damaged store: refused, with the reason', async () => {
    await using world = new World();
    mkdirSync(world.state, { mode: 0o755 });
    chmodSync(world.state, 0o755);
    expect(await world.run(['broker', 'start'])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/open to others.*chmod 700/),
    });
    chmodSync(world.state, 0o700);
    writeFileSync(join(world.state, 'deye.db'), 'rubbish '.repeat(1000));
    const damaged = await world.run(['broker', 'start']);
    expect(damaged).toMatchObject({ code: 1, stderr: expect.stringMatching(/damaged[\s\S]*\[store_corrupt\]/) });
    expect(readFileSync(join(world.state, 'deye.db'), 'utf8')).toBe('rubbish '.repeat(1000));
    const file = join(world.directory, 'file');
    writeFileSync(file, '');
    expect(await world.run(['broker', 'start', '--state-dir', join(file, 'below')])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/cannot be made/),
    });
  });

  test('a socket that is a directory of the system: refused, and nobody is told to close it', async () => {
    await using world = new World();
    for (const socket of ['/tmp', '/', '/usr/broker.sock'])
      for (const command of [
        ['task', 'ls'],
        ['broker', 'start'],
        ['broker', 'stop'],
      ]) {
        const { code, stderr } = await world.run(command, { env: { DEYE_SOCKET: socket } });
        expect([code === 0, stderr.includes('chmod')], `${socket} ${command.join(' ')}: ${stderr}`).toEqual([
          false,
          false,
        ]);
      }
  });

  test('the demo starts all of it, shows real processes, says where to go next, and ends', async () => {
    await using world = new World();
    const { code, stdout, stderr } = await world.run(['demo']);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/procmond healthy.*handed to procmond.*PID +USER.*Where to go next/s);
  });

  test('a configuration that is wrong names the file, the key and the rule', async () => {
    await using world = new World();
    const file = join(world.directory, 'deye.yaml');
    for (const [text, why] of [
      ['limits: {pending_max: many}', /pending_max/],
      ['limits: {pendingMax: 5}', /did you mean pending_max/],
      ['colectors: []', /colectors/],
      ['collectors: [{id: a, type: nosuch}]', /no command and is no built-in/],
      ['collectors: [{id: a, type: procmond}, {id: a, type: procmond}]', /same id/],
      ['a: [', /YAML/],
    ] as const) {
      writeFileSync(file, text);
      expect(await world.run(['broker', 'start', '--config', file]), text).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(why),
      });
    }
    for (const [name, value] of [
      ['DEYE_LIMITS_PENDING_MAX', 'x'],
      ['DEYE_LIMITS_FOO', '1'],
      ['DEYE_SOCKET', 'tcp://host:1'],
      ['DEYE_SOCKET', 'memory:here'],
    ] as const)
      expect(await world.run(['broker', 'start'], { env: { [name]: value } }), name).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(name === 'DEYE_SOCKET' ? value : name),
      });
  });

  test('declared collectors: a program of the user, and one in a crash loop that is quarantined', async () => {
    await using world = new World();
    const file = join(world.directory, 'deye.yaml');
    writeFileSync(
      file,
      'limits: {pending_max: 2}\ncollectors:\n  - {id: bad, type: bad, command: "false", max_restarts: 2, backoff_ms: 10}\n  - {id: second, type: procmond}\n',
    );
    const up = await world.run(['up', '--config', file]);
    expect([up.code, up.stdout]).toEqual([1, expect.stringMatching(/bad quarantined, second healthy/)]);
    const collectors = JSON.parse((await world.run(['collectors', 'ls', '--json'])).stdout) as CollectorView[];
    expect(collectors.find(({ collector_id }) => collector_id === 'bad')).toMatchObject({
      status: 'quarantined',
      status_reason: expect.stringMatching(/3 exits.*exited with 1/),
    });
    for (let at = 0; at < 2; at++) await world.run(['task', 'submit', 'dream']);
    expect(await world.run(['task', 'submit', 'dream'])).toMatchObject({
      code: 75,
      stderr: expect.stringMatching(/limit is 2.*\[queue_full\]/),
    });
  });
});
