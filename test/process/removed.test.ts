/** The store's files are removed or replaced under a running broker: it ends, and what it acknowledged is there. */
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

const db = (world: World) => join(world.state, 'deye.db');
const remove =
  (...suffixes: string[]) =>
  (world: World) => {
    for (const suffix of suffixes) rmSync(db(world) + suffix);
  };

const removals: readonly (readonly [string, (world: World) => void])[] = [
  ['the database', remove('')],
  ['its write-ahead log', remove('-wal')],
  ['all three files', remove('', '-wal', '-shm')],
  ['the state directory', (world) => rmSync(world.state, { recursive: true })],
  ['the state directory, which is moved', (world) => renameSync(world.state, `${world.state}.moved`)],
];

async function submit(client: Client, count: number): Promise<string[]> {
  const submits = Array.from({ length: count }, (_, at) => client.submit({ operation: 'scan', payload: { at } }));
  return (await Promise.all(submits)).map(({ id }) => id);
}

/** One after the other until one is refused; those that were acknowledged. */
async function submitOn(client: Client): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const submitted = await client.submit({ operation: 'scan' }).catch(() => undefined);
    if (submitted === undefined) return ids;
    ids.push(submitted.id);
  }
}

const storedIn = (path: string): unknown[] => {
  const file = new DatabaseSync(path);
  const ids = file.prepare('SELECT id FROM task ORDER BY seq').all();
  file.close();
  return ids.map(({ id }) => id);
};

/** What the broker prints, and a wait for its end. */
function watch(broker: ChildProcess) {
  let errors = '';
  broker.stderr!.on('data', (chunk) => (errors += chunk));
  return async (): Promise<string> => {
    await ended(broker);
    expect(broker.exitCode, errors).toBe(1);
    return errors;
  };
}

describe.each(removals)('%s', (_, take) => {
  test('under submits: none that was acknowledged is lost', async () => {
    await using world = new World();
    const end = watch(await world.broker());
    const client = await world.client({ reconnect: false });
    const before = await submit(client, 100);
    take(world);
    const acknowledged = [...before, ...(await submitOn(client))];
    expect(await end()).toMatch(/deye\.db(-wal)? was removed.*written back there; start the broker again/);
    expect(readdirSync(world.state).filter((name) => name.includes('saved'))).toEqual([]);
    expect(statSync(db(world)).mode & 0o777).toBe(0o600);
    await world.broker();
    const again = await world.client({ reconnect: false });
    for (const id of acknowledged) expect(await again.request('task.show', { id })).toMatchObject({ state: 'pending' });
    await again.close();
  });
});

test.each([removals[1]!, removals[3]!])(
  '%s, while nothing happens: it is noticed, and everybody is told',
  async (_, take) => {
    await using world = new World();
    const end = watch(await world.broker());
    const client = await world.client({ reconnect: false });
    const before = await submit(client, 3);
    const waited = client.wait(before[0]!).catch((error: unknown) => error);
    take(world);
    expect(await end()).toMatch(/was removed/);
    expect(await waited).toMatchObject({ code: 'store_unwritable' });
    expect(storedIn(db(world))).toEqual(before);
  },
);

test('at a stop that comes before it was noticed: still nothing is lost, and the stop says it', async () => {
  await using world = new World();
  const broker = await world.broker();
  const end = watch(broker);
  const client = await world.client({ reconnect: false });
  const before = await submit(client, 100);
  remove('', '-wal')(world);
  broker.kill('SIGTERM');
  expect(await end()).toMatch(/was removed/);
  expect(storedIn(db(world))).toEqual(before);
  await client.close();
});

test('another store in its place is left as it is; what was acknowledged lies beside', async () => {
  await using world = new World();
  const backup = join(world.directory, 'backup.db');
  const first = await world.broker();
  const client = await world.client({ reconnect: false });
  const old = await submit(client, 2);
  await client.close();
  first.kill('SIGTERM');
  await ended(first);
  copyFileSync(db(world), backup);
  const end = watch(await world.broker());
  const other = await world.client({ reconnect: false });
  const before = await submit(other, 100);
  renameSync(backup, db(world));
  const acknowledged = [...old, ...before, ...(await submitOn(other))];
  const [, saved = ''] = /Everything acknowledged is in (\S+)\. /.exec(await end()) ?? [];
  expect(existsSync(saved)).toBe(true);
  expect(storedIn(saved)).toEqual(expect.arrayContaining(acknowledged));
  expect(storedIn(db(world))).toEqual(old);
});

test('a broker in the background says so in its log, though that was removed, too', async () => {
  await using world = new World();
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  rmSync(world.state, { recursive: true });
  await until(async () => (await world.run(['broker', 'status'])).code === 69, 'it ends');
  const { stdout } = await world.run(['broker', 'logs']);
  expect(stdout).toMatch(/deye\.db was removed/);
});
