/** Collectors that take tasks and do not read them. */
import { expect, test } from 'vitest';
import { harness, until } from '../broker/harness.ts';
import { settle } from '../broker/virtual-clock.ts';
import { retainedBytes } from './retained.ts';

const mib = 1024 * 1024;

test('100 tasks of 1 MiB for a collector that does not read: a few leave, all are done when it reads', async () => {
  await using broker = await harness({ slowGraceMs: 600_000 });
  const [collector, operator] = [await broker.session('collector'), await broker.session()];
  await collector.register('w', { max_concurrent_tasks: 100 });
  collector.stream.pause();
  const session = [...broker.running.broker.sessions][0]!;
  const before = await retainedBytes();
  for (let count = 0; count < 100; count++)
    await operator.request('task.submit', { operation: 'work', payload: Buffer.alloc(mib) });
  await settle();
  expect(session.peer.link.queuedBytes).toBeLessThan(10 * mib);
  expect((await retainedBytes()) - before).toBeLessThan(100 * mib + 16 * mib + 100 * mib); // kept twice: core and store
  const { in_progress, waiting } = await operator.request('broker.snapshot', {});
  expect(in_progress).toBeLessThan(12);
  expect(in_progress + waiting).toBe(100);
  const [pending] = (await operator.request('task.list', { state: ['pending'], limit: 1 })).tasks;
  expect(pending?.waits_for).toMatchObject({ code: 'no_credit', message: expect.stringMatching(/has not read/) });
  collector.stream.resume();
  for (let count = 0; count < 100; count++) {
    const { task_id, token } = (await collector.message()) as { task_id: string; token: string };
    await collector.request('task.complete', { task_id, token });
  }
  expect(await operator.request('broker.snapshot', {})).toMatchObject({ in_progress: 0, waiting: 0 });
});

test('small tasks, too, are counted until they are read; what was lost with the session is done by another', async () => {
  await using broker = await harness({ outboundBytesMax: 100_000, slowGraceMs: 600_000 });
  const [deaf, operator] = [await broker.session('collector'), await broker.session()];
  await deaf.register('w', { max_concurrent_tasks: 100 });
  deaf.stream.pause();
  const tasks = Array.from({ length: 100 }, () => ({ operation: 'work', payload: 'x'.repeat(5000) }));
  await operator.request('task.submit_batch', { tasks });
  const { in_progress } = await operator.request('broker.snapshot', {});
  expect(in_progress).toBeLessThan(25);
  deaf.stream.destroy();
  await until(async () => (await operator.request('broker.snapshot', {})).in_progress === 0, 'they are back');
  const other = await broker.session('collector');
  await other.register('v', { max_concurrent_tasks: 100 });
  for (let count = 0; count < 100; count++) {
    const { task_id, token } = (await other.message()) as { task_id: string; token: string };
    await other.request('task.complete', { task_id, token });
  }
  expect(await operator.request('broker.snapshot', {})).toMatchObject({ in_progress: 0, waiting: 0 });
});
