/** No space left, a limit on the size of files, and a disk that is read-only, under a real broker. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { loadAt } from '../conformance/records.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';
import { cannotMount, SmallDisk } from './small-disk.ts';

const payload = { text: 'x'.repeat(20_000) };

/** Submits until one is refused; those that were acknowledged, and the code of the refusal. */
async function submitUntilRefused(client: Client): Promise<{ ids: string[]; code: string }> {
  const ids: string[] = [];
  for (;;) {
    const submitted = await client
      .submit({ operation: 'scan', payload }, { timeoutMs: 60_000 })
      .catch((error: { code: string }) => error.code);
    if (typeof submitted === 'string') return { ids, code: submitted };
    ids.push(submitted.id);
  }
}

const submitsAgain = (client: Client, ids: string[]): Promise<void> =>
  until(async () => {
    const submitted = await client.request('task.submit', { operation: 'scan', payload }).catch(() => undefined);
    if (submitted !== undefined) ids.push(submitted.id);
    return submitted !== undefined;
  }, 'a submit is taken again');

/** A collector that holds its task until the file is there; its result needs what is kept back of a full disk. */
const holding = (go: string): string => `
  import { existsSync } from 'node:fs';
  import { defineCollector } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
  const there = async () => { while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 20)); };
  await defineCollector({ type: 't', operations: { hold: () => there().then(() => ({ done: 'y'.repeat(500_000) })) } }).run({ id: 'c', onReady: () => console.log('ready') });
`;

async function pendingIn(world: World): Promise<string[]> {
  const store = journalStoreIn(join(world.state, 'store'));
  const { tasks } = await store.load(loadAt(Date.now()));
  const ids = Array.from(tasks, ({ spec }) => spec.id);
  await store.close();
  return ids;
}

describe.skipIf(cannotMount)('a disk that is full', () => {
  test('refuses what is new, ends what runs, shows all; goes on by itself when there is space; a restart has everything', async () => {
    using disk = new SmallDisk(64);
    await using world = new World(join(disk.directory, 'state'));
    expect(await world.run(['broker', 'start', '--no-collectors'])).toMatchObject({ code: 0 });
    const go = join(world.directory, 'go');
    const collector = world.spawnScript(holding(go));
    await world.said(collector, 'ready');
    const client = await world.client();
    const held = await client.submit({ operation: 'hold' });
    const first = await client.submit({ operation: 'scan', payload });
    disk.fill();
    const { ids: accepted, code } = await submitUntilRefused(client);
    const ids = [first.id, ...accepted];
    expect(code).toBe('store_full');
    expect(await world.run(['task', 'submit', 'scan', '-p', JSON.stringify(payload)])).toMatchObject({
      code: 75,
      stderr: expect.stringMatching(/disk.*full.*\[store_full\]/s),
    });
    expect(await world.run(['task', 'show', ids[0]!])).toMatchObject({ code: 0 });
    expect(await world.run(['task', 'show', held.id, '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('in_progress'),
    });
    writeFileSync(go, '');
    expect(await client.wait(held.id)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await world.run(['broker', 'status'])).toMatchObject({ code: 0 });
    disk.free();
    await submitsAgain(client, ids);
    const { pid } = (await client.request('broker.snapshot', {})).broker;
    process.kill(pid, 'SIGKILL');
    await client.close();
    expect(await world.run(['broker', 'start', '--no-collectors'])).toMatchObject({ code: 0 });
    const again = await world.client();
    for (const id of ids) expect(await again.request('task.show', { id })).toMatchObject({ state: 'pending' });
    expect(await again.request('task.show', { id: held.id })).toMatchObject({ state: 'completed' });
    await again.close();
    collector.kill('SIGKILL');
    expect((await world.run(['broker', 'stop'])).code).toBe(0);
    expect((await pendingIn(world)).sort()).toEqual(ids.sort());
  });

  test('by what the store itself has: when its tasks have ended it goes on by itself, also after a kill, and says both', async () => {
    using disk = new SmallDisk(48);
    await using world = new World(join(disk.directory, 'state'));
    expect(await world.run(['broker', 'start', '--no-collectors'])).toMatchObject({ code: 0 });
    const client = await world.client();
    const { ids, code } = await submitUntilRefused(client);
    expect([code, ids.length]).toEqual(['store_full', expect.any(Number)]);
    const { pid } = (await client.request('broker.snapshot', {})).broker;
    process.kill(pid, 'SIGKILL');
    await client.close();
    expect(await world.run(['broker', 'start', '--no-collectors'])).toMatchObject({ code: 0 });
    const again = await world.client();
    const isOver = (id: string): Promise<boolean> =>
      again.request('task.cancel', { id }).then(
        () => true,
        ({ code: why }: { code: string }) => why === 'wrong_state', // else there was no room for its end
      );
    await until(async () => {
      let over = 0;
      for (const id of ids) over += (await isOver(id)) ? 1 : 0;
      return over === ids.length;
    }, 'all have ended');
    const more: string[] = [];
    await submitsAgain(again, more);
    for (const id of ids) expect(await again.request('task.show', { id })).toMatchObject({ state: 'cancelled' });
    const said = /warn .*the disk under the store is full.*info .*the store has room again/s;
    await until(async () => said.test((await world.run(['broker', 'logs'])).stdout), 'both are in the log');
    await again.close();
    expect((await world.run(['broker', 'stop'])).code).toBe(0);
    expect((await world.run(['store', 'verify', world.state])).code).toBe(0);
  });

  test('from the beginning: the start is refused and says why, and works when there is space', async () => {
    using disk = new SmallDisk(16);
    await using world = new World(join(disk.directory, 'state'));
    disk.fill();
    for (const flags of [['--foreground'], []])
      expect(await world.run(['broker', 'start', '--no-collectors', ...flags])).toMatchObject({
        code: 75,
        stderr: expect.stringMatching(/disk.*full.*\[store_full\]/s),
      });
    disk.free();
    expect(await world.run(['broker', 'start', '--no-collectors'])).toMatchObject({ code: 0 });
  });

  test('read-only: the start is refused and says why, in the foreground and in the background', async () => {
    using disk = new SmallDisk(64);
    await using world = new World(join(disk.directory, 'state'));
    expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
    expect((await world.run(['broker', 'stop'])).code).toBe(0);
    disk.readOnly();
    for (const flags of [['--foreground'], []])
      expect(await world.run(['broker', 'start', '--no-collectors', ...flags])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/read-only.*\[store_unavailable\]/s),
      });
  });
});

describe('a limit on the size of files', () => {
  /** A broker whose files may have so many KiB. */
  const limited = (world: World, kibibytes: number) => {
    const broker = world.shell(
      `ulimit -f ${kibibytes}; exec "$0" "$@"`,
      ...['broker', 'start', '--foreground', '--no-collectors'],
    );
    let errors = '';
    broker.stderr!.on('data', (chunk) => (errors += chunk));
    return { broker, errors: () => errors };
  };

  test('is a full disk: what is new is refused, the broker lives, and without the limit all is there', async () => {
    await using world = new World();
    const { broker, errors } = limited(world, 6 * 1024);
    await world.ready();
    const client = await world.client({ reconnect: false });
    const { ids, code } = await submitUntilRefused(client);
    expect(code, errors()).toBe('store_full');
    expect(ids.length).toBeGreaterThan(100);
    expect(await client.request('task.show', { id: ids[0]! })).toMatchObject({ state: 'pending' });
    await client.request('task.cancel', { id: ids[0]! });
    await client.close();
    broker.kill('SIGTERM');
    await ended(broker);
    expect([broker.exitCode, broker.signalCode], errors()).toEqual([0, null]);
    await world.broker();
    const free = await world.client();
    for (const id of ids.slice(1)) expect(await free.request('task.show', { id })).toMatchObject({ state: 'pending' });
    await submitsAgain(free, ids);
    await free.close();
  });

  test('that no journal fits into: the start is refused and says why', async () => {
    await using world = new World();
    const { broker, errors } = limited(world, 1024);
    await ended(broker);
    expect([broker.exitCode, broker.signalCode], errors()).toEqual([75, null]);
    expect(errors()).toMatch(/\[store_full\]/);
  });
});
