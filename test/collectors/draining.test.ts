import { expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { defineCollector } from '../../src/index.ts';
import { harness, until } from '../broker/harness.ts';

const statusOf = async (client: Client, id: string) =>
  (await client.request('collector.list', {})).collectors.find(({ collector_id }) => collector_id === id)?.status;
const stateOf = async (client: Client, id: string) => (await client.show(id)).state;

test('draining: no new task, the running one finishes, then it leaves', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  const stop = new AbortController();
  const release = Promise.withResolvers<string>();
  const running = defineCollector({
    type: 't',
    maxConcurrentTasks: 5,
    operations: { hold: () => release.promise },
  }).run({ transport: () => broker.running.open(), id: 'd', signal: stop.signal, signals: false });
  await until(async () => (await statusOf(client, 'd')) === 'healthy', 'it is there');
  const first = await client.submit({ operation: 'hold' });
  await until(async () => (await stateOf(client, first.id)) === 'in_progress', 'it holds one');
  stop.abort();
  await until(async () => (await statusOf(client, 'd')) === 'draining', 'it drains');
  expect((await client.submit({ operation: 'hold' })).state).toBe('pending');
  release.resolve('done');
  expect(await client.wait(first.id)).toMatchObject({ state: 'completed', result: 'done' });
  await running;
});

test('draining goes on over a lost connection: its result arrives, and it gets nothing new', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  const stop = new AbortController();
  const release = Promise.withResolvers<string>();
  const streams: { destroy(): void }[] = [];
  let ran = 0;
  const running = defineCollector({
    type: 't',
    maxConcurrentTasks: 5,
    operations: {
      hold: () => {
        ran++;
        return release.promise;
      },
    },
  }).run({
    transport: () => {
      const stream = broker.running.open();
      streams.push(stream);
      return stream;
    },
    id: 'd',
    signal: stop.signal,
    signals: false,
  });
  await until(async () => (await statusOf(client, 'd')) === 'healthy', 'it is there');
  const first = await client.submit({ operation: 'hold', max_retries: 0 });
  await until(() => ran === 1, 'it works');
  stop.abort();
  await until(async () => (await statusOf(client, 'd')) === 'draining', 'it drains');
  streams.at(-1)!.destroy();
  await until(async () => (await statusOf(client, 'd')) === undefined, 'the connection is lost');
  const second = await client.submit({ operation: 'hold' });
  await running; // its task was given back at once, so there is nothing to wait for
  release.resolve('late');
  expect(ran).toBe(1);
  expect(await client.wait(first.id)).toMatchObject({ state: 'dead_letter', error: { code: 'connection_lost' } });
  expect(await client.show(second.id)).toMatchObject({ state: 'pending', attempt: 0 });
});
