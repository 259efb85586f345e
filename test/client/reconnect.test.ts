import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { connect, defineCollector, NonRetryableError, RetryAfterError, startBroker, ExcludeMeError } from '../../src/index.ts';
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
  await until(async () => (await client.request('collector.list', {})).collectors.length === 1, 'the collector is there');
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
  client.onReconnect = async () => {
    if (breaks-- > 0) streams.at(-1)!.destroy();
    await client.request('broker.health', {});
  };
  const messages = await client.subscribe('my.*');
  streams.at(-1)!.destroy();
  await until(() => client.state === 'connected' && breaks < 0, 'it is back', 30_000);
  const other = await broker.client('other');
  expect(await other.publish('my.own', 1, { confirm: true })).toEqual({ subscribers: 1 });
  expect((await messages.next()).value?.body).toBe(1);
  expect(dials).toBe(5);
  await until(() => broker.running.broker.sessions.size === 2, 'no connection is left over');
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

test('a broker of another major version is not tried again', async () => {
  await using broker = await harness();
  await expect(connect({ transport: () => broker.running.open(), role: 'king' as 'operator' })).rejects.toMatchObject({
    code: 'hello_expected',
  });
});

test('what a handler throws decides what happens', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  const stop = new AbortController();
  const tries: Record<string, number> = {};
  const worker = (id: string) =>
    defineCollector({
      type: 't',
      maxConcurrentTasks: 10,
      operations: {
        flaky: ({ attempt }) => {
          if (attempt < 3) throw new Error(`no ${attempt}`);
          return 'at last';
        },
        hopeless: () => {
          throw new NonRetryableError('never');
        },
        later: ({ attempt }) => {
          if (attempt === 1) throw new RetryAfterError(1, 'soon');
          return attempt;
        },
        picky: () => {
          tries[id] = (tries[id] ?? 0) + 1;
          if (id === 'a') throw new ExcludeMeError('not me');
          return id;
        },
        wrong: () => ({ at: new Date() }),
        nothing: () => undefined,
      },
    }).run({ transport: () => broker.running.open(), id, signal: stop.signal, signals: false });
  const first = worker('a');
  await until(() => broker.running.broker.state.collectors.size === 1, 'a');
  const picky = await client.submit({ operation: 'picky' });
  await until(async () => (await client.request('task.show', { id: picky.id })).attempts.length === 1, 'a refused it');
  const second = worker('b');
  const outcome = async (operation: string) =>
    client.wait((await client.submit({ operation, backoff: { base_ms: 1, cap_ms: 2 }, max_retries: 2 })).id);
  expect(await client.wait(picky.id)).toMatchObject({ state: 'completed', result: 'b', attempt: 2 });
  expect(tries).toEqual({ a: 1, b: 1 });
  expect(await outcome('flaky')).toMatchObject({
    state: 'completed',
    result: 'at last',
    attempt: 3,
    attempts: [{ error: { message: 'no 1' } }, { error: { message: 'no 2' } }, { outcome: 'completed' }],
  });
  expect(await outcome('hopeless')).toMatchObject({
    state: 'dead_letter',
    attempt: 1,
    error: { code: 'NonRetryableError', message: 'never' },
  });
  expect(await outcome('later')).toMatchObject({ state: 'completed', result: 2 });
  expect(await outcome('nothing')).toMatchObject({ state: 'completed', result: null });
  expect(await outcome('wrong')).toMatchObject({
    state: 'dead_letter',
    error: { message: expect.stringMatching(/cannot travel/) },
  });
  stop.abort();
  await Promise.all([first, second]);
});

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
  await until(() => broker.running.broker.state.collectors.size === 1, 'it is there');
  const first = await client.submit({ operation: 'hold' });
  await until(() => broker.running.broker.state.inProgress === 1, 'it holds one');
  stop.abort();
  await until(() => broker.running.broker.state.collectors.get('d')?.status === 'draining', 'it drains');
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
  await until(() => broker.running.broker.state.collectors.size === 1, 'it is there');
  const first = await client.submit({ operation: 'hold', max_retries: 0 });
  await until(() => ran === 1, 'it works');
  stop.abort();
  await until(() => broker.running.broker.state.collectors.get('d')?.status === 'draining', 'it drains');
  streams.at(-1)!.destroy();
  await until(() => broker.running.broker.state.collectors.size === 0, 'the connection is lost');
  const second = await client.submit({ operation: 'hold' });
  await running; // its task was given back at once, so there is nothing to wait for
  release.resolve('late');
  expect(ran).toBe(1);
  expect(await client.wait(first.id)).toMatchObject({ state: 'dead_letter', error: { code: 'connection_lost' } });
  expect(await client.request('task.show', { id: second.id })).toMatchObject({ state: 'pending', attempt: 0 });
});

test('an attempt over its time is aborted and, when it does not stop, failed', async () => {
  await using broker = await harness({ cancelGraceMs: 50 });
  const client = await broker.client('c');
  const stop = new AbortController();
  let aborted = 0;
  const running = defineCollector({
    type: 't',
    operations: {
      stubborn: (_task, { signal }) => {
        signal.addEventListener('abort', () => aborted++);
        return new Promise(() => {});
      },
    },
  }).run({ transport: () => broker.running.open(), id: 's', signal: stop.signal, signals: false, drainMs: 10 });
  const { id } = await client.submit({ operation: 'stubborn', timeout_ms: 30, max_retries: 0 });
  expect(await client.wait(id)).toMatchObject({ state: 'dead_letter', attempts: [{ outcome: 'timed_out' }] });
  expect(aborted).toBe(1);
  stop.abort();
  await running;
});
