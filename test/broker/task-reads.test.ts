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

test('a read in the same write as what comes before it shows that', async () => {
  await using broker = await harness();
  const raw = await broker.session();
  const show = (request: number, id: string) => encodeFrame([Kind.request, request, 'broker', 'task.show', { id }, 0]);
  for (let at = 0; at < 20; at++) {
    const id = `01a31800-0000-7000-8000-0000000001${String(at).padStart(2, '0')}`;
    const request = 80_000 + at * 10;
    const submit = encodeFrame([Kind.request, request, 'broker', 'task.submit', { id, operation: 'a' }, 0]);
    const list = encodeFrame([Kind.request, request + 2, 'broker', 'task.list', { limit: 1 }, 0]);
    raw.write(Buffer.concat([submit, show(request + 1, id), list]));
    expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, request, 0, { state: 'pending' }]);
    expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, request + 1, 0, { id, state: 'pending' }]);
    expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, request + 2, 0, { tasks: [{ id }] }]);
    const cancel = encodeFrame([Kind.request, request + 3, 'broker', 'task.cancel', { id }, 0]);
    raw.write(Buffer.concat([cancel, show(request + 4, id)]));
    expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, request + 3, 0, { state: 'cancelled' }]);
    expect(await raw.kind(Kind.reply)).toMatchObject([Kind.reply, request + 4, 0, { id, state: 'cancelled' }]);
  }
});
