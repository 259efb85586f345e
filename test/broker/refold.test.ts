import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { harness, until } from './harness.ts';

/** The core is thrown away and folded again from the store while everybody is connected. */
test('sessions, subscriptions, waits, leases and calls live on when the core is folded again', async () => {
  await using broker = await harness();
  const client = await broker.client('client');
  const messages = await client.subscribe('my.*');
  const collector = broker.raw().hello('collector');
  const registration = {
    collector_id: 'c',
    collector_type: 't',
    operations: [{ name: 'work' }],
    event_domains: ['process'],
    max_concurrent_tasks: 1,
  };
  collector.send(Kind.request, 70_000, 'broker', 'collector.register', registration, 0);
  await collector.kind(Kind.reply);
  const held = await client.submit({ operation: 'work' });
  const queued = await client.submit({ operation: 'work' });
  const [, , first] = (await collector.kind(Kind.publish)) as [number, string, { task_id: string; token: string }];
  const waits = [held, queued].map(({ id }) => client.wait(id));
  const call = client.call('c', 'custom');
  const [, callId] = await collector.kind(Kind.request);

  await broker.running.broker.refold();

  expect((await client.request('collector.list', {})).collectors).toMatchObject([
    { collector_id: 'c', tasks_in_progress: 1 },
  ]);
  expect(await client.submit({ operation: 'work', id: queued.id })).toMatchObject({
    duplicate: true,
    state: 'pending',
  });
  collector.send(Kind.reply, callId, 0, 'answered');
  expect(await call).toBe('answered');
  collector.send(Kind.request, 70_001, 'broker', 'task.complete', { ...lease(first), result: 1 }, 0);
  expect((await collector.kind(Kind.reply))[2]).toBe(0);
  const [, , second] = (await collector.kind(Kind.publish)) as [number, string, { task_id: string; token: string }];
  expect(second.task_id).toBe(queued.id);
  // Of another epoch.
  expect(second.token.split('.')[0]).not.toBe(first.token.split('.')[0]);
  collector.send(Kind.request, 70_002, 'broker', 'task.complete', { ...lease(second), result: 2 }, 0);
  expect((await Promise.all(waits)).map(({ state, result }) => [state, result])).toEqual([
    ['completed', 1],
    ['completed', 2],
  ]);
  collector.send(Kind.publishConfirmed, 1, 'events.process.new', 1);
  expect(await collector.kind(Kind.ack)).toEqual([Kind.ack, 1, 0]);
  await client.publish('my.own', 'still here', { confirm: true });
  expect((await messages.next()).value?.body).toBe('still here');
});

test('inputs that come while it is folded wait and are answered', async () => {
  await using broker = await harness();
  const client = await broker.client('client');
  await client.submit({ operation: 'a' });
  const folded = broker.running.broker.refold();
  const submits = Array.from({ length: 50 }, () => client.submit({ operation: 'a' }));
  await folded;
  expect(new Set((await Promise.all(submits)).map(({ id }) => id)).size).toBe(50);
  await until(async () => (await client.request('broker.snapshot', {})).waiting === 51, 'all wait');
});

const lease = ({ task_id, token }: { task_id: string; token: string }) => ({ task_id, token });
