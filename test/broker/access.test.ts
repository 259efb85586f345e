/** What a registration grants, over the wire: nothing when it is refused, nothing any more when it is over. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { harness, type Raw } from './harness.ts';

let sequence = 0;

/** Whether it may publish on the topic: the code of the refusal, or "ok". */
async function publishes(raw: Raw, topic: string): Promise<string> {
  raw.send(Kind.publishConfirmed, ++sequence, topic, 1);
  const [, , , refusal] = await raw.kind(Kind.ack);
  return refusal === undefined ? 'ok' : (refusal as { code: string }).code;
}

test('a refused registration grants nothing', async () => {
  await using broker = await harness();
  const [first, second] = [await broker.session('collector'), await broker.session('collector')];
  await first.register('w', { event_domains: ['process'] });
  const offers = { collector_type: 't', operations: [{ name: 'x' }], event_domains: ['process', 'network'] };
  for (const wrong of [
    { ...offers, collector_id: 'w' },
    { ...offers, collector_id: 'Bad Id' },
    { ...offers, collector_id: 'x', operations: [] },
  ])
    await second.refused('collector.register', wrong);
  for (const topic of ['events.process.new', 'events.network.new', 'control.collector.config.w'])
    expect(await publishes(second, topic)).toBe('not_allowed');
  expect(await publishes(first, 'events.process.new')).toBe('ok');
  expect(await publishes(first, 'events.network.new')).toBe('not_allowed');
  // A refused change changes nothing either.
  await first.refused('collector.register', { ...offers, collector_id: 'other' });
  expect(await publishes(first, 'events.network.new')).toBe('not_allowed');
});

test('an accepted one grants its domains and its own configuration; a later one replaces them', async () => {
  await using broker = await harness();
  const raw = await broker.session('collector');
  expect(await publishes(raw, 'events.process.new')).toBe('not_allowed');
  await raw.register('w', { event_domains: ['process'] });
  for (const topic of ['events.process.new', 'control.collector.config.w'])
    expect(await publishes(raw, topic)).toBe('ok');
  expect(await publishes(raw, 'control.collector.config.v')).toBe('not_allowed');
  await raw.register('w', { event_domains: ['network'] });
  expect(await publishes(raw, 'events.process.new')).toBe('not_allowed');
  expect(await publishes(raw, 'events.network.new')).toBe('ok');
});

test('with the end of the registration what it granted ends', async () => {
  await using broker = await harness();
  const [raw, operator] = [await broker.session('collector'), await broker.session()];
  const topics = ['events.process.new', 'control.collector.config.w'];
  await raw.register('w', { event_domains: ['process'] });
  await raw.request('collector.deregister', { force: true });
  for (const topic of topics) expect(await publishes(raw, topic)).toBe('not_allowed');
  await raw.register('w', { event_domains: ['process'] });
  await operator.request('task.submit', { operation: 'work' });
  const { task_id, token } = (await raw.message()) as { task_id: string; token: string };
  await raw.request('collector.deregister', {});
  for (const topic of topics) expect(await publishes(raw, topic)).toBe('ok'); // until what it holds has ended
  await raw.request('task.complete', { task_id, token });
  for (const topic of topics) expect(await publishes(raw, topic)).toBe('not_allowed');
});

test('the topics of the broker alone are refused to all others', async () => {
  await using broker = await harness();
  const [operator, collector] = [await broker.session(), await broker.session('collector')];
  await collector.register('w');
  for (const raw of [operator, collector])
    for (const topic of [
      'control.collector.registration',
      'control.collector.status',
      'control.broker.shutdown',
      'control.tasks.t.w',
      'tasks.lifecycle.completed',
      'control.health.status',
    ])
      expect(await publishes(raw, topic)).toBe('not_allowed');
});

test('a collector cannot manage another one, and an operator can', async () => {
  await using broker = await harness();
  const [one, other, operator] = [
    await broker.session('collector'),
    await broker.session('collector'),
    await broker.session(),
  ];
  await one.register('one');
  await other.register('other');
  for (const method of ['shutdown', 'update_config', 'start_collection', 'stop_collection']) {
    expect((await one.refused(method, {}, 'other')).code).toBe('not_allowed');
    expect((await one.refused(method, {}, 'any:work')).code).toBe('not_allowed');
    const asked = operator.ask(method, {}, 'other');
    const [, brokerId] = await other.kind(Kind.request);
    other.send(Kind.reply, brokerId, 0, 'done');
    expect(await operator.reply(asked)).toBe('done');
  }
});
