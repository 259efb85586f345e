/** Many clients at once and few descriptors: whoever finds no room is told so. */
import { execFile, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

/**
 * Connects `count` times at once without waiting in between, sends a hello on each, and prints how each ended. Not with
 * Node: it throws away what was received when a write fails.
 */
const crowd = `
import socket, sys, time
path, count, hello = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
socks = []
for at in range(count):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(path)
    socks.append(s)
outcomes = {}
for s in socks:
    try:
        s.sendall(hello)
    except OSError:
        pass
for s in socks:
    try:
        received = s.recv(65536)
        outcome = 'busy' if b'busy' in received else 'welcome' if b'session' in received else 'closed'
    except OSError as error:
        outcome = error.__class__.__name__
    outcomes[outcome] = outcomes.get(outcome, 0) + 1
import json
print(json.dumps(outcomes))
`;
const hello = encodeFrame([Kind.hello, { protocol: '1.0', name: 'crowd', role: 'operator' }]).toString('hex');

function outcomesOf(world: World, count: number): Promise<Record<string, number>> {
  return new Promise((resolve, reject) =>
    execFile('/usr/bin/python3', ['-c', crowd, world.socket, String(count), hello], (error, stdout) =>
      error === null ? resolve(JSON.parse(stdout) as Record<string, number>) : reject(error),
    ),
  );
}

test('256 descriptors and 1,000 clients at once: each is welcome or told busy, and room comes back', async () => {
  await using world = new World();
  const broker = world.shell('ulimit -n 256; exec "$0" "$@"', 'broker', 'start', '--foreground', '--no-collectors');
  await world.ready();
  const first = await world.client({ reconnect: false });
  for (let round = 0; round < 3; round++) {
    const { welcome, busy, ...others } = await outcomesOf(world, 1000);
    expect(others).toEqual({});
    expect(welcome).toBeGreaterThan(150);
    expect(welcome! + busy!).toBe(1000);
    expect((await first.request('broker.health', {})).status).toBe('healthy');
    await until(async () => (await first.request('broker.snapshot', {})).broker.sessions === 1, 'all have left');
  }
  await first.close();
  broker.kill('SIGTERM');
  await ended(broker);
  expect(broker.exitCode).toBe(0);
});

test('what the caller has open is closed in the background broker and its children', async () => {
  await using world = new World();
  // As `2> >(cat)` does: a pipe whose reader waits for its end, under several numbers.
  const shell = spawn('bash', ['-c', '"$0" "$@" 9>&2 15>&2 20>&2 63>&2 200>&2', process.execPath, mainOf(), 'up'], {
    env: world.env as NodeJS.ProcessEnv,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  shell.stderr.resume();
  await new Promise((resolve) => shell.stderr.once('end', resolve)); // hangs for as long as the broker has it open
  const { stdout } = await world.run(['collectors', 'ls', '--json']);
  const [{ pid: collector }] = listOf(stdout);
  const { pid: broker } = JSON.parse((await world.run(['broker', 'status', '--json'])).stdout) as { pid: number };
  for (const pid of [broker, collector]) {
    const open = readdirSync(`/proc/${pid}/fd`).map(Number);
    for (const descriptor of [63, 200]) expect(open, String(pid)).not.toContain(descriptor);
  }
});

const mainOf = (): string => new URL('../../dist/src/main.js', import.meta.url).pathname;

function listOf(text: string): [{ pid: number }] {
  const parsed = JSON.parse(text) as { collectors: [{ pid: number }] } | [{ pid: number }];
  return Array.isArray(parsed) ? parsed : parsed.collectors;
}
