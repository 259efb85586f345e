import { expect, test } from 'vitest';
import { Subscription } from '../../src/client/subscription.ts';
import { Subscriptions } from '../../src/client/subscriptions.ts';
import { harness } from '../broker/harness.ts';

const make = (bufferMax?: number) =>
  new Subscription(['a.*'], bufferMax === undefined ? {} : { bufferMax }, () => Promise.resolve());
const message = (body: number) => ({ topic: 'a.b', body });
const bodyOf = async (next: Promise<IteratorResult<{ body: unknown }>>) => (await next).value?.body;

test('next called again before it resolved: each call gets a message, in their order', async () => {
  const subscription = make();
  const takers = [subscription.next(), subscription.next(), subscription.next()];
  for (const body of [1, 2, 3, 4]) subscription.deliver(message(body));
  expect(await Promise.all(takers.map(bodyOf))).toEqual([1, 2, 3]);
  expect(await bodyOf(subscription.next())).toBe(4);
});

test.each([
  ['return', (subscription: Subscription) => subscription.return()],
  ['finish', (subscription: Subscription) => subscription.finish()],
])('%s releases everybody who waits, and nothing comes after it', async (_, end) => {
  const subscription = make();
  const takers = [subscription.next(), subscription.next()];
  await end(subscription);
  const done = { value: undefined, done: true };
  expect(await Promise.all(takers)).toEqual([done, done]);
  subscription.deliver(message(1));
  expect(await subscription.next()).toEqual(done);
});

test('a full buffer drops the oldest and counts it', async () => {
  const subscription = make(2);
  for (const body of [1, 2, 3]) subscription.deliver(message(body));
  expect(subscription.dropped).toBe(1);
  expect(await Promise.all([subscription.next(), subscription.next()].map(bodyOf))).toEqual([2, 3]);
});

test('a pattern is used until its last subscription is removed, and none twice', () => {
  const subscriptions = new Subscriptions();
  const [one, other] = [make(), make()];
  subscriptions.add(one);
  subscriptions.add(other);
  expect(subscriptions.patternsBy(10)).toEqual([['a.*']]);
  expect(subscriptions.remove(one)).toEqual([]);
  expect(subscriptions.remove(one)).toEqual([]);
  expect(subscriptions.remove(other)).toEqual(['a.*']);
  expect(subscriptions.patternsBy(10)).toEqual([]);
});

test('two spellings of one pattern are one for the broker: the one that stays goes on', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  const kept = await client.subscribe('a.*');
  await (await client.subscribe('a.+')).close();
  expect(await client.publish('a.b', 'still', { confirm: true })).toEqual({ subscribers: 1 });
  expect((await kept.next()).value?.body).toBe('still');
});
