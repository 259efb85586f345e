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
