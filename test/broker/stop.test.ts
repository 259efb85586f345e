import { expect, test } from 'vitest';
import { MemoryStore } from '../../src/store/memory.ts';
import { harness } from './harness.ts';

test('a stop takes no attempt from anybody: what is in progress stays so in the store', async () => {
  const store = new MemoryStore();
  await using broker = await harness({}, { store });
  const [collector, operator] = [await broker.session('collector'), await broker.session()];
  await collector.register('w', { max_concurrent_tasks: 3 });
  const ids: string[] = [];
  for (let count = 0; count < 3; count++) {
    ids.push((await operator.request('task.submit', { operation: 'work' })).id);
    await collector.message();
  }
  await broker.running.stop('immediate');
  expect((await collector.goodbye()).code).toBe('shutting_down');
  for (const id of ids) expect(await store.show(id)).toMatchObject({ state: 'in_progress', attempts: [] });
});
