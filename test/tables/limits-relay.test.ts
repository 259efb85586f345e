/** Limits of subscriptions, routes and calls. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { harness } from '../broker/harness.ts';
import { VirtualClock } from '../broker/virtual-clock.ts';
import { speak } from './spoken.ts';

const socket = { socket: true };

test('subscriptionsMax: patterns, and as many excluded ones', async () => {
  await using broker = await harness({ subscriptionsMax: 2 }, socket);
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: ['a', 'b', 'a'], exclude: ['c', 'd'] });
  for (const more of [{ patterns: ['e'] }, { patterns: ['a'], exclude: ['e'] }])
    expect(await raw.refused('topic.subscribe', more)).toMatchObject({
      code: 'too_many_subscriptions',
      context: { limit: 2 },
    });
  expect(await raw.request('topic.unsubscribe', { patterns: ['b'] })).toEqual({ subscriptions: 1 });
  await raw.request('topic.subscribe', { patterns: ['e'] });
  speak('subscriptionsMax');
});

test('subscriptionsTotalMax: of all sessions, excluded ones counted, given back by those who go', async () => {
  await using broker = await harness({ subscriptionsTotalMax: 3 }, socket);
  const [one, two] = [await broker.session(), await broker.session()];
  await one.request('topic.subscribe', { patterns: ['a', 'b'], exclude: ['c'] });
  expect((await two.refused('topic.subscribe', { patterns: ['a'] })).context).toEqual({ limit: 3 });
  await one.request('topic.unsubscribe', { patterns: ['a', 'b'] });
  one.send(Kind.goodbye, 'bye');
  await one.ended();
  expect(await two.request('topic.subscribe', { patterns: ['a', 'b', 'c'] })).toEqual({ subscriptions: 3 });
  speak('subscriptionsTotalMax');
});

test('routesMax', async () => {
  await using broker = await harness({ routesMax: 10 }, socket);
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: ['t.#'] });
  const { routes } = broker.running.broker.relay;
  for (let topic = 0; topic < 25; topic++) {
    raw.send(Kind.publish, `t.${topic}`, topic);
    expect(await raw.message()).toBe(topic);
    expect(routes.size).toBeLessThanOrEqual(10);
  }
  speak('routesMax');
});

test('callMsDefault and callMsMax', async () => {
  const clock = new VirtualClock();
  await using broker = await harness({ callMsDefault: 30_000, callMsMax: 300_000, pingMs: 1e9 }, { clock });
  const [callee, caller] = [await broker.session('collector'), await broker.session()];
  await callee.register('w');
  const { id } = await caller.request('task.submit', { operation: 'dream' });
  const [none, long, wait] = [
    caller.ask('x', {}, 'w'),
    caller.ask('x', {}, 'w', 10 * 3_600_000),
    caller.ask('task.wait', { id }),
  ];
  await clock.advance(29_999);
  expect(caller.frames).toEqual([]);
  await clock.advance(1);
  for (const asked of [none, wait]) expect((await caller.refusal(asked)).code).toBe('deadline_exceeded');
  await clock.advance(269_999);
  expect(caller.frames.filter(([kind]) => kind === Kind.reply)).toEqual([]);
  await clock.advance(1);
  expect((await caller.refusal(long)).code).toBe('deadline_exceeded');
  speak('callMsDefault');
  speak('callMsMax');
});

test('callsMax and callsPerSessionMax', async () => {
  await using broker = await harness({ callsMax: 3, callsPerSessionMax: 2 }, socket);
  const [callee, one, two] = [await broker.session('collector'), await broker.session(), await broker.session()];
  await callee.register('w');
  const first = one.ask('x', {}, 'w');
  one.ask('x', {}, 'w');
  expect((await one.refused('x', {}, 'w')).context).toMatchObject({ limit: 2 });
  two.ask('x', {}, 'w');
  expect((await two.refused('x', {}, 'w')).context).toMatchObject({ limit: 3 });
  const [, brokerId] = await callee.kind(Kind.request);
  callee.send(Kind.reply, brokerId, 0, 'done');
  expect(await one.reply(first)).toBe('done');
  two.ask('x', {}, 'w');
  await two.pong();
  expect(two.frames).toEqual([]);
  expect(broker.running.broker.calls.inFlight).toBe(3);
  speak('callsMax');
  speak('callsPerSessionMax');
});
