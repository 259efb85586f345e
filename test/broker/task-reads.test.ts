import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { harness } from './harness.ts';

/** A store whose details come when they are let go. */
class HeldStore extends MemoryStore {
  letGo = (): void => {};
  readonly #gone = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });

  override async show(id: string): ReturnType<MemoryStore['show']> {
    await this.#gone;
    return super.show(id);
  }
}

test('a wait for a task that is submitted while it is looked up is not answered with one that goes on', async () => {
  const store = new HeldStore();
  await using broker = await harness({}, { store });
  const raw = await broker.session();
  const id = '01a31800-0000-7000-8000-000000000001';
  raw.write(encodeFrame([Kind.request, 70_000, 'broker', 'task.wait', { id }, 0]));
  raw.write(encodeFrame([Kind.request, 70_001, 'broker', 'task.submit', { id, operation: 'a' }, 0]));
  expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, 70_001, 0, { state: 'pending' }]);
  store.letGo();
  expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, 70_000, 1, { code: 'not_found' }]);
});
