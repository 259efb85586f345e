/** Waits and cancels by the ten thousand: bounded, and a cancel walks over nobody. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { harness } from '../broker/harness.ts';
import { countIterations } from './iterations.ts';

test('40,000 waits of one session and 20,000 cancels of ids that are not there', async () => {
  await using broker = await harness();
  const [hostile, good] = [await broker.session('observer'), await broker.session()];
  const { id } = await good.request('task.submit', { operation: 'a' });
  for (let at = 0; at < 40_000; at++) hostile.ask('task.wait', { id }, 'broker', 3_600_000);
  await hostile.pong();
  await good.pong();
  const { waits } = broker.state;
  expect([waits.count, waits.byTask.get(id)?.size]).toEqual([1000, 1000]);
  expect(hostile.frames.filter(([kind]) => kind === Kind.reply)).toHaveLength(39_000);
  const session = [...waits.bySession.values()][0]!;
  const walked = countIterations(waits.byTask, waits.bySession, session, waits.byTask.get(id)!);
  for (let at = 0; at < 20_000; at++) hostile.send(Kind.cancel, 3_000_000_000 + at);
  await hostile.pong();
  await good.request('task.submit', { operation: 'a' });
  expect([walked.count, waits.count]).toEqual([0, 1000]);
  // A cancel of one that is there finds it in one step, too.
  hostile.send(Kind.cancel, 65_536);
  expect((await hostile.refusal(65_536)).code).toBe('cancelled');
  expect([walked.count, waits.count]).toEqual([0, 999]);
  hostile.stream.destroy();
  await hostile.ended();
  await good.pong();
  await good.request('broker.health', {});
  expect(waits).toMatchObject({ count: 0, byTask: new Map(), bySession: new Map() });
});

test('all sessions together may wait waitsTotalMax times', async () => {
  await using broker = await harness({ waitsTotalMax: 2500 });
  const operator = await broker.session();
  const { id } = await operator.request('task.submit', { operation: 'a' });
  for (const open of [1000, 2000, 2500, 2500]) {
    const hostile = await broker.session('observer');
    for (let at = 0; at < 1500; at++) hostile.ask('task.wait', { id }, 'broker', 3_600_000);
    await hostile.request('broker.health', {});
    expect(broker.state.waits.count).toBe(open);
  }
});
