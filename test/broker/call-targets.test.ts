import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { harness, type Raw } from './harness.ts';

/** Answers the next call that comes to it. */
async function answers(collector: Raw, result: string): Promise<void> {
  const [, id] = await collector.kind(Kind.request);
  collector.send(Kind.reply, id, 0, result);
}

test('a call to any collector goes to a healthy one only', async () => {
  await using broker = await harness();
  const caller = await broker.session();
  const [a, b] = [await broker.session('collector'), await broker.session('collector')];
  await a.register('a', { status: 'degraded', status_reason: 'tired' });
  expect((await caller.refused('greet', {}, 'any:work')).code).toBe('no_capable_collector');
  await b.register('b');
  for (let count = 0; count < 3; count++) {
    const asked = caller.ask('greet', {}, 'any:work');
    await answers(b, 'from b');
    expect(await caller.reply(asked)).toBe('from b');
  }
  // By name it is called all the same.
  const asked = caller.ask('greet', {}, 'a');
  await answers(a, 'from a');
  expect(await caller.reply(asked)).toBe('from a');
  // Once it is healthy, it is the first by name.
  await a.request('collector.heartbeat', {});
  const again = caller.ask('greet', {}, 'any:work');
  await answers(a, 'from a');
  expect(await caller.reply(again)).toBe('from a');
  await b.request('collector.heartbeat', { status: 'stopped' });
  await a.request('collector.heartbeat', { status: 'stopped' });
  expect((await caller.refused('greet', {}, 'any:work')).code).toBe('no_capable_collector');
});
