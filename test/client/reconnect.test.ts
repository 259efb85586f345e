import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { connect, defineCollector, startBroker } from '../../src/index.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { harness, until } from '../broker/harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'deye-client-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('after a restart of the broker: subscribed again, registered again, and a submit in between arrives once', async () => {
  const place = { socket: join(directory, 'r', 'b.sock'), stateDir: join(directory, 's') };
  let broker = await startBroker(place);
  const stop = new AbortController();
  const collector = defineCollector({ type: 't', operations: { echo: ({ payload }) => payload } }).run({
    socket: place.socket,
    id: 'c',
    signal: stop.signal,
    signals: false,
  });
  const client = await connect({ socket: place.socket });
  const states: string[] = [];
  client.onState((state) => states.push(state));
  const messages = await client.subscribe('my.*');
  await until(
    async () => (await client.request('collector.list', {})).collectors.length === 1,
    'the collector is there',
  );
  await broker.stop('immediate');
  const submitted = client.submit({ operation: 'echo', payload: 42 }, { timeoutMs: 30_000 });
  broker = await startBroker(place);
  const { id } = await submitted;
  expect(await client.wait(id)).toMatchObject({ state: 'completed', result: 42 });
  await client.publish('my.own', 'back', { confirm: true });
  expect((await messages.next()).value).toMatchObject({ topic: 'my.own', body: 'back' });
  expect(states).toEqual(['reconnecting', 'connected']);
  expect((await client.request('task.list', {})).tasks).toHaveLength(1);
  stop.abort();
  await collector;
  await client.close();
  await broker.stop();
});

test('a connection that breaks while it is being taken up again is tried once more, and only one is used', async () => {
  await using broker = await harness();
  let dials = 0;
  const streams: { destroy(): void }[] = [];
  const client = await connect({
    transport: () => {
      dials++;
      const stream = broker.running.open();
      streams.push(stream);
      return stream;
    },
    name: 'shaky',
  });
  let breaks = 3;
  client.onReconnect = async (request) => {
    if (breaks-- > 0) streams.at(-1)!.destroy();
    await request('broker.health', {});
  };
  const messages = await client.subscribe('my.*');
  streams.at(-1)!.destroy();
  await until(() => client.state === 'connected' && breaks < 0, 'it is back', 30_000);
  const other = await broker.client('other');
  expect(await other.publish('my.own', 1, { confirm: true })).toEqual({ subscribers: 1 });
  expect((await messages.next()).value?.body).toBe(1);
  expect(dials).toBe(5);
  const sessions = async () => (await other.request('broker.snapshot', {})).broker.sessions;
  await until(async () => (await sessions()) === 2, 'no connection is left over');
  await client.close();
});

test('an id that ended before a restart is still known: nothing is done twice', async () => {
  const place = { socket: join(directory, 'e', 'b.sock'), stateDir: join(directory, 'es') };
  let ran = 0;
  const id = uuidv7();
  for (let life = 0; life < 2; life++) {
    await using broker = await startBroker(place);
    const stop = new AbortController();
    const ready = Promise.withResolvers<string>();
    const collector = defineCollector({ type: 't', operations: { once: () => ++ran } }).run({
      socket: place.socket,
      signal: stop.signal,
      signals: false,
      onReady: ready.resolve,
    });
    await ready.promise;
    await using client = await connect({ socket: place.socket });
    expect(await client.submit({ operation: 'once', id })).toMatchObject({ id, duplicate: life === 1 });
    expect(await client.wait(id)).toMatchObject({ state: 'completed', result: 1 });
    const [again] = await client.submitBatch([
      { operation: 'once', id },
      { operation: 'once', id },
    ]);
    expect(again).toMatchObject({ state: 'completed', duplicate: true });
    stop.abort();
    await collector;
    await broker.stop();
  }
  expect(ran).toBe(1);
});

test('a wait goes on beyond the longest that the broker allows', async () => {
  await using broker = await harness({ waitMsMax: 20 });
  const client = await connect({ transport: () => broker.running.open() });
  const { id } = await client.submit({ operation: 'later', payload: [1, 2, 3] });
  const waiting = client.wait(id, { timeoutMs: 60_000 });
  await expect(client.wait(id, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'deadline_exceeded' });
  expect(await client.show(id)).not.toHaveProperty('payload');
  expect(await client.fetch(id, 'payload')).toEqual([1, 2, 3]);
  expect(await client.fetch(id, 'result')).toBeUndefined();
  const stop = new AbortController();
  const collector = defineCollector({ type: 't', operations: { later: () => 'now' } }).run({
    transport: () => broker.running.open(),
    signal: stop.signal,
    signals: false,
  });
  expect(await waiting).toMatchObject({ state: 'completed', result: 'now' });
  expect(await client.fetch(id, 'result')).toBe('now');
  stop.abort();
  await collector;
  await client.close();
});

test('an attempt that goes on through a restart of the broker is reclaimed, and its result is taken', async () => {
  const place = { socket: join(directory, 'c', 'b.sock'), stateDir: join(directory, 'cs') };
  let broker = await startBroker(place);
  const stop = new AbortController();
  const result = Promise.withResolvers<string>();
  const attempts: number[] = [];
  const collector = defineCollector({
    type: 't',
    operations: {
      long: ({ attempt }) => {
        attempts.push(attempt);
        return result.promise;
      },
    },
  }).run({ socket: place.socket, id: 'c', signal: stop.signal, signals: false });
  const client = await connect({ socket: place.socket });
  const { id } = await client.submit({ operation: 'long', max_retries: 0 });
  await until(() => attempts.length === 1, 'it works');
  await broker.stop('immediate');
  result.resolve('done'); // while there is no broker
  broker = await startBroker(place);
  expect(await client.wait(id)).toMatchObject({ state: 'completed', result: 'done', attempt: 1 });
  expect(attempts).toEqual([1]);
  stop.abort();
  await collector;
  await client.close();
  await broker.stop();
});
