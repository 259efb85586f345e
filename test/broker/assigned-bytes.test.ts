import { expect, test, vi } from 'vitest';
import { harness } from './harness.ts';
import { settle } from './virtual-clock.ts';

test('payload bytes that a collector has taken are counted off once', async () => {
  await using broker = await harness({ outboundBytesMax: 100_000 });
  const inner = broker.running.broker;
  const enqueue = vi.spyOn(inner, 'enqueue');
  const [collector, operator] = [await broker.session('collector'), await broker.session()];
  await collector.register('w');
  for (let count = 0; count < 4; count++) {
    await operator.request('task.submit', { operation: 'work', payload: Buffer.alloc(39_995) });
    const { task_id, token } = (await collector.message()) as { task_id: string; token: string };
    await collector.request('task.complete', { task_id, token });
    await collector.pong();
    await settle();
  }
  const counted = enqueue.mock.calls.flatMap(([input]) => (input.kind === 'bytes_read' ? [input.bytes] : []));
  expect(counted).toEqual([39_998, 39_998, 39_998, 39_998]);
});
