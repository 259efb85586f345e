/** The store's files are removed or replaced under a running broker: it ends, and what it acknowledged is there. */
import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { loadAt } from '../conformance/records.ts';
import { until } from '../until.ts';
import { ended, World } from './daemon.ts';

const storeOf = (world: World) => join(world.state, 'store');
const remove = (name: string) => (world: World) => rmSync(join(storeOf(world), name), { recursive: true });

const removals: readonly (readonly [string, (world: World) => void])[] = [
  ['the first segment', remove('journal/000000000001.journal')],
  [
    'the first segment, which is cut',
    (world) => truncateSync(join(storeOf(world), 'journal/000000000001.journal'), 8192),
  ],
  ['the journal', remove('journal')],
  ['the book', remove('book.db')],
  ["the book's write-ahead log", remove('book.db-wal')],
  ['the store', remove('')],
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

/** One after the other until one is refused; those whose end was acknowledged. */
async function cancelOn(client: Client, ids: readonly string[]): Promise<string[]> {
  for (const [at, id] of ids.entries()) {
    const isDone = await client.request('task.cancel', { id }).then(
      () => true,
      () => false,
    );
    if (!isDone) return ids.slice(0, at);
  }
  return [...ids];
}

async function storedIn(directory: string): Promise<string[]> {
  const store = journalStoreIn(directory);
  const { tasks } = await store.load(loadAt(Date.now()));
  const ids = Array.from(tasks, ({ spec }) => spec.id);
  await store.close();
  return ids;
}

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

describe.each(removals)('%s', (what, take) => {
  test('under submits and ends: none that was acknowledged is lost', async () => {
    await using world = new World();
    const end = watch(await world.broker());
    const client = await world.client({ reconnect: false });
    const [waiting, ending] = [await submit(client, 100), await submit(client, 2000)];
    const early = await cancelOn(client, ending.slice(0, 20));
    take(world);
    const [submitted, late] = await Promise.all([submitOn(client), cancelOn(client, ending.slice(20))]);
    const printed = await end();
    expect(printed).toMatch(
      /was (removed|moved|cut) while it was open.*written back to .*store; start the broker again/,
    );
    if (what.includes('moved')) expect(printed).toMatch(/Start no broker on what was moved away/);
    expect(readdirSync(world.state).filter((name) => name.includes('saved'))).toEqual([]);
    expect(statSync(storeOf(world)).mode & 0o777).toBe(0o700);
    await world.broker();
    const again = await world.client({ reconnect: false });
    const stateOf = async (id: string) => (await again.request('task.show', { id })).state;
    for (const id of [...waiting, ...submitted]) expect(await stateOf(id)).toBe('pending');
    for (const id of [...early, ...late]) expect(await stateOf(id)).toBe('cancelled');
    // Of the end that was refused nobody knows; the task is there.
    for (const id of ending) expect(['pending', 'cancelled']).toContain(await stateOf(id));
    await again.close();
  });
});

test.each([removals[0]!, removals[3]!, removals[6]!])(
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
    expect(await storedIn(storeOf(world))).toEqual(before);
  },
);

test.each([
  ['under cancels', true],
  ['at a stop', false],
])("the book's write-ahead log is cut %s: the broker ends, and the next one has every end", async (_, isBusy) => {
  await using world = new World();
  const broker = await world.broker();
  const end = watch(broker);
  const client = await world.client({ reconnect: false });
  const [first, rest] = [await submit(client, 500), await submit(client, 3000)];
  const log = join(storeOf(world), 'book.db-wal');
  const early = await cancelOn(client, first);
  await until(() => statSync(log).size > 100_000, 'the book has some');
  truncateSync(log, 40_000);
  const late = isBusy ? await cancelOn(client, rest) : [];
  if (!isBusy) broker.kill('SIGTERM');
  expect(await end()).toMatch(/book\.db-wal was cut (from \d+ to 40000 bytes )?while it was open/);
  await world.broker();
  const again = await world.client({ reconnect: false });
  for (const id of [...early, ...late])
    expect(await again.request('task.show', { id })).toMatchObject({ state: 'cancelled' });
  expect((await world.run(['store', 'status', '--json'])).code).toBe(0);
  await again.close();
});

test('at a stop that comes before it was noticed: still nothing is lost, and the stop says it', async () => {
  await using world = new World();
  const broker = await world.broker();
  const end = watch(broker);
  const client = await world.client({ reconnect: false });
  const before = await submit(client, 100);
  remove('')(world);
  broker.kill('SIGTERM');
  expect(await end()).toMatch(/was removed/);
  expect(await storedIn(storeOf(world))).toEqual(before);
  await client.close();
});

test('another store in its place is left as it is; what was acknowledged lies beside', async () => {
  await using world = new World();
  const backup = join(world.directory, 'backup');
  const first = await world.broker();
  const client = await world.client({ reconnect: false });
  const old = await submit(client, 2);
  await client.close();
  first.kill('SIGTERM');
  await ended(first);
  cpSync(storeOf(world), backup, { recursive: true });
  const end = watch(await world.broker());
  const other = await world.client({ reconnect: false });
  const before = await submit(other, 100);
  renameSync(storeOf(world), `${storeOf(world)}.old`);
  renameSync(backup, storeOf(world));
  const acknowledged = [...old, ...before, ...(await submitOn(other))];
  const [, saved = ''] = /Everything acknowledged is in (\S+)\. /.exec(await end()) ?? [];
  expect(existsSync(saved)).toBe(true);
  expect(await storedIn(saved)).toEqual(expect.arrayContaining(acknowledged));
  expect(await storedIn(storeOf(world))).toEqual(old);
});

test('a broker in the background says so in its log, though that was removed, too', async () => {
  await using world = new World();
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
  rmSync(world.state, { recursive: true });
  await until(async () => (await world.run(['broker', 'status'])).code === 69, 'it ends');
  const { stdout } = await world.run(['broker', 'logs']);
  expect(stdout).toMatch(/was removed while it was open/);
});
