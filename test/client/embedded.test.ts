import { expect, test } from 'vitest';
import { connect, defineCollector, startBroker } from '../../src/index.ts';

test('a collector in about twenty lines gets a task and its result arrives', async () => {
  await using broker = await startBroker({ socket: false, stateDir: false });
  const transport = () => broker.open();
  const stop = new AbortController();
  const ready = Promise.withResolvers<string>();
  const greeter = defineCollector({
    type: 'greeter',
    operations: { greet: (task) => `hello ${(task.payload as { name: string }).name}` },
  });
  const running = greeter.run({ transport, id: 'g1', signal: stop.signal, signals: false, onReady: ready.resolve });
  await ready.promise;
  await using client = await connect({ transport, name: 'test' });
  const { id, collector_id } = await client.submit({ operation: 'greet', payload: { name: 'you' } });
  expect(collector_id).toBe('g1');
  const done = await client.wait(id, { include: ['payload', 'result'] });
  expect(done).toMatchObject({ state: 'completed', result: 'hello you', attempt: 1, payload: { name: 'you' } });
  stop.abort();
  await running;
  expect((await client.request('collector.list', {})).collectors).toEqual([]);
});

test('integers beyond 2^53 arrive in all their digits', async () => {
  await using broker = await startBroker({ socket: false, stateDir: false });
  await using client = await connect({ transport: broker.open, name: 'test' });
  const body = { small: 7, most: 2n ** 64n - 1n, least: -(2n ** 63n), list: [2n ** 53n + 1n] };
  const { id } = await client.submit({ operation: 'count', payload: body });
  expect((await client.show(id, { include: ['payload'] })).payload).toEqual(body);
  expect(() => client.publish('a.b', 2n ** 64n)).toThrow();
  // Where the broker itself reads a number, it wants one that it can hold.
  const params = { collector_id: 'c', limit: 2n ** 60n } as never;
  await expect(client.request('task.list', params)).rejects.toMatchObject({ code: 'invalid_params' });
});
