/** A backup of a broker that is killed, or whose target is full: the store is sound, and the target is no backup. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { missing } from '../interop/missing.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

const submit = async (client: Client, count: number): Promise<string[]> => {
  const ids: string[] = [];
  for (let at = 0; at < count; at++)
    ids.push((await client.submit({ operation: 'later', payload: new Uint8Array(1_000_000) })).id);
  return ids;
};

test('kill -9 in the middle of a backup', async () => {
  await using world = new World();
  const first = await world.broker();
  const client = await world.client({ reconnect: false });
  const ids = await submit(client, 15);
  const to = join(world.directory, 'copy');
  const drafts = () => readdirSync(world.directory).filter((name) => name.startsWith('.copy.unfinished-'));
  const backup = client.request('store.backup', { directory: to }).then(
    () => 'made',
    () => 'ended',
  );
  await until(() => drafts().length > 0, 'it began');
  first.kill('SIGKILL');
  await ended(first);
  expect(await backup).toBe('ended');
  expect(existsSync(to)).toBe(false);
  for (const what of [to, ...drafts().map((name) => join(world.directory, name))]) {
    const refused = await world.run(['store', 'restore', what, '--state-dir', join(world.directory, 'restored')]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/no manifest.json.* \[backup_damaged\]|no directory .* \[backup_missing\]/),
    ]);
  }
  expect((await world.run(['store', 'verify', '--json'])).code).toBe(0);
  await world.broker();
  const again = await world.client();
  for (const id of ids) expect(await again.show(id)).toMatchObject({ state: 'pending' });
  await again.close();
  expect((await world.run(['store', 'backup', to])).code).toBe(0);
  expect(drafts()).toEqual([]);
});

test('kill -9 in the middle of a compact', async () => {
  await using world = new World();
  const first = await world.broker();
  const client = await world.client({ reconnect: false });
  const ids = await submit(client, 15);
  for (let round = 0; round < 4; round++)
    for (const id of await submit(client, 15)) await client.request('task.cancel', { id });
  const { journal: before } = await client.request('store.status', {});
  const compact = client.request('store.compact', {}).catch(() => {});
  const looking = await world.client({ reconnect: false });
  await until(async () => {
    const { journal } = await looking.request('store.status', {});
    return journal!.last_sequence > before!.last_sequence + 2;
  }, 'it writes again');
  first.kill('SIGKILL');
  await ended(first);
  await compact;
  expect((await world.run(['store', 'verify', '--json'])).code).toBe(0);
  await world.broker();
  const again = await world.client();
  for (const id of ids) expect(await again.show(id)).toMatchObject({ state: 'pending' });
  await again.close();
});

// A small file system of its own, which only some systems let anybody have.
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
test.skipIf(missing(!canMount, 'leave to mount in a namespace of its own'))(
  'a target that is full: the backup says so, leaves nothing, and the broker goes on',
  async () => {
    await using world = new World();
    const target = join(world.directory, 'target');
    mkdirSync(target);
    const mount = `mount -t tmpfs -o size=2m tmpfs ${target} && exec "$0" "$@"`;
    const start = ['broker', 'start', '--foreground', '--no-collectors'];
    const broker = world.shell(`exec unshare -rm bash -c '${mount}' "$0" "$@"`, ...start);
    await world.ready();
    const client = await world.client();
    const ids = await submit(client, 4);
    await expect(client.request('store.backup', { directory: join(target, 'copy') })).rejects.toMatchObject({
      code: 'backup_failed',
      message: expect.stringMatching(/no space left.*Make room, or name another place\. Nothing is left/),
      context: { cause: 'store_full' },
    });
    // The broker alone sees that file system: it is empty when the same directory can be made again.
    await expect(client.request('store.backup', { directory: target })).rejects.toMatchObject({
      code: 'backup_failed',
    });
    ids.push(...(await submit(client, 1)));
    for (const id of ids) expect(await client.show(id)).toMatchObject({ state: 'pending' });
    const { directory } = await client.request('store.backup', { directory: join(world.directory, 'copy') });
    await client.close();
    broker.kill('SIGTERM');
    await ended(broker);
    expect((await world.run(['store', 'restore', directory, '--state-dir', join(world.directory, 'new')])).code).toBe(
      0,
    );
  },
);
