import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { enumerateProcesses } from '../../src/collectors/procmond/enumerate.ts';
import { readElsewhere, readLinux, readProcessTable } from '../../src/collectors/procmond/process-table.ts';
import { procmond } from '../../src/collectors/procmond/procmond.ts';
import { harness, until } from '../broker/harness.ts';
import { missing } from '../interop/missing.ts';

const never = new AbortController().signal;

describe('the process table', () => {
  test('knows this very process', async () => {
    const me = (await readProcessTable()).find(({ pid }) => pid === process.pid)!;
    expect(me).toMatchObject({ ppid: process.ppid, state: expect.stringMatching(/running|sleeping/) });
    expect(me.executable).toBe(readFileSync('/proc/self/cmdline', 'utf8') === '' ? null : process.execPath);
    expect(Math.abs(me.started_at_ms - (Date.now() - process.uptime() * 1000))).toBeLessThan(2000);
    expect(me.memory_bytes).toBeGreaterThan(10_000_000);
  });

  test.skipIf(missing(process.platform !== 'linux', '/proc'))('agrees with ps about who is there', () => {
    const rows = readLinux();
    const ps = spawnSync('ps', ['-eo', 'pid=,ppid=,user:32=,comm='], { encoding: 'utf8' }).stdout;
    const listed = new Map(
      ps
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .map(([pid, ppid, user]) => [Number(pid), { ppid: Number(ppid), user }]),
    );
    const common = rows.filter(({ pid }) => listed.has(pid));
    expect(common.length).toBeGreaterThan(rows.length * 0.8);
    for (const { pid, ppid, user } of common) expect({ pid, ppid, user }).toEqual({ pid, ...listed.get(pid) });
  });

  test('agrees with the way taken on other systems', async () => {
    const other = new Map((await readElsewhere()).map((row) => [row.pid, row]));
    const me = (await readProcessTable()).find(({ pid }) => pid === process.pid)!;
    expect(other.get(process.pid)).toMatchObject({ pid: me.pid, ppid: me.ppid, user: me.user });
  });

  test('a name with parentheses, spaces and a newline is read whole', () => {
    const root = mkdtempSync(join(tmpdir(), 'deye-proc-'));
    mkdirSync(join(root, '77'));
    writeFileSync(join(root, 'stat'), 'cpu 1\nbtime 1700000000\n');
    writeFileSync(join(root, '77', 'stat'), `77 (a) b (\n) S 1 ${'0 '.repeat(9)}100 50 ${'0 '.repeat(6)}200 0 0`);
    writeFileSync(join(root, '77', 'status'), 'Name:\tx\nVmRSS:\t     12 kB\n');
    writeFileSync(join(root, '77', 'cmdline'), 'prog\0--flag\0two words\0');
    symlinkSync('/bin/prog', join(root, '77', 'exe'));
    mkdirSync(join(root, '78')); // it ended meanwhile: nothing in it
    expect(readLinux(root)).toEqual([
      expect.objectContaining({
        pid: 77,
        ppid: 1,
        name: 'a) b (\n',
        state: 'sleeping',
        command_line: 'prog --flag two words',
        executable: '/bin/prog',
        memory_bytes: 12 * 1024,
        started_at_ms: 1_700_000_002_000,
      }),
    ]);
    rmSync(root, { recursive: true });
  });
});

describe('enumerate_processes', () => {
  test('filters, fields, order and limit', async () => {
    const child = spawn('sleep', ['60']);
    try {
      await until(
        async () => (await enumerateProcesses({ filter: { pid: child.pid! } }, never)).processes[0]?.name === 'sleep',
        'the child runs',
      );
      const byPid = await enumerateProcesses(
        { filter: { pid: [child.pid!, process.pid] }, fields: ['pid', 'name'] },
        never,
      );
      expect(byPid).toMatchObject({
        matched: 2,
        processes: expect.arrayContaining([{ pid: child.pid, name: 'sleep' }]),
      });
      expect((await enumerateProcesses({ filter: { name: 'SLEE', user: 'nobody-here' } }, never)).processes).toEqual(
        [],
      );
      const { processes } = await enumerateProcesses(
        { sort: 'memory_bytes', limit: 3, fields: ['memory_bytes'] },
        never,
      );
      const sizes = processes.map(({ memory_bytes }) => memory_bytes!);
      expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
      expect(sizes).toHaveLength(3);
      expect(processes[0]).toEqual({ memory_bytes: sizes[0] });
    } finally {
      child.kill();
    }
  });

  test('the hash of the executable, on request', async () => {
    const { processes } = await enumerateProcesses({ filter: { pid: process.pid }, fields: ['sha256'] }, never);
    expect(processes).toEqual([{ sha256: createHash('sha256').update(readFileSync(process.execPath)).digest('hex') }]);
  });

  test.each([[{ filter: { pid: 'x' } }], [{ fields: ['nope'] }], [{ limit: 0 }], ['text'], [{ unknown: 1 }]])(
    '%j is not understood, and trying again would not help',
    async (payload) => {
      await expect(enumerateProcesses(payload, never)).rejects.toMatchObject({
        name: 'NonRetryableError',
        message: expect.stringMatching(/^enumerate_processes: /),
      });
    },
  );
});

test('procmond as a collector: publishes starts and exits, is configured while it runs, and stops', async () => {
  await using broker = await harness();
  const stop = new AbortController();
  const ready = Promise.withResolvers<string>();
  const running = procmond().run({
    transport: () => broker.running.open(),
    id: 'p',
    signal: stop.signal,
    signals: false,
    onReady: ready.resolve,
  });
  await ready.promise;
  const client = await broker.client('c');
  const notices = await client.subscribe('control.collector.config.p');
  await expect(client.call('p', 'update_config', { changes: { interval_ms: 1 } })).rejects.toMatchObject({
    code: 'invalid_params',
    message: expect.stringMatching(/^update_config: interval_ms: [^{[]*100$/),
  });
  expect(await client.call('p', 'update_config', { changes: { interval_ms: 30_000 } })).toMatchObject({
    version: 1,
    changed_fields: [],
  });
  expect(await client.call('p', 'update_config', { changes: { interval_ms: 150 }, validate_only: true })).toMatchObject(
    { version: 1, validated: true, changed_fields: [] },
  );
  expect(await client.call('p', 'update_config', { changes: { interval_ms: 150 } })).toMatchObject({
    version: 2,
    changed_fields: ['interval_ms'],
    restarted: false,
  });
  expect((await notices.next()).value).toMatchObject({
    topic: 'control.collector.config.p',
    body: { collector_id: 'p', version: 2, changed_fields: ['interval_ms'] },
  });
  const events = await client.subscribe('events.process.lifecycle');
  const child = spawn('sleep', ['60']);
  const next = async (event: string) => {
    for await (const { body } of events)
      if ((body as { event: string; pid: number }).event === event && (body as { pid: number }).pid === child.pid)
        return body;
  };
  // One iterator for both: leaving a for-await ends the subscription, so each is waited for with its own.
  expect(await next('start')).toMatchObject({ pid: child.pid });
  const exits = await client.subscribe('events.process.lifecycle');
  child.kill('SIGKILL');
  for await (const { body } of exits)
    if ((body as { pid: number; event: string }).pid === child.pid && (body as { event: string }).event === 'exit')
      break;
  expect(await client.call('p', 'health_check')).toMatchObject({
    status: expect.stringMatching(/healthy|degraded/),
    metrics: { interval_ms: 150 },
  });
  expect(await client.call('p', 'shutdown', { type: 'graceful' })).toEqual({ accepted: true });
  await running;
  expect((await client.request('collector.list', {})).collectors).toEqual([]);
});
