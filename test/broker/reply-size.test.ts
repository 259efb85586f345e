import { expect, test, vi } from 'vitest';
import { harness } from './harness.ts';

const frameBytesMax = 5000;
const prefixBytes = 4;

test('an answer of exactly frame_bytes_max leaves; one byte more is refused, and the session goes on', async () => {
  await using broker = await harness({ frameBytesMax });
  const raw = await broker.session();
  const [session] = broker.running.broker.sessions;
  const send = vi.spyOn(session!.peer.link, 'send');
  const taskOf = async (bytes: number): Promise<string> =>
    (await raw.request('task.submit', { operation: 'a', payload: Buffer.alloc(bytes) })).id;
  const show = (id: string) => raw.ask('task.show', { id, include: ['payload'] });
  const sizeOfLast = (): number => send.mock.calls.at(-1)![0].length - prefixBytes;

  await raw.reply(show(await taskOf(3000)));
  const fits = 3000 + frameBytesMax - sizeOfLast();
  expect(await raw.reply(show(await taskOf(fits)))).toMatchObject({ payload: Buffer.alloc(fits) });
  expect(sizeOfLast()).toBe(frameBytesMax);
  expect(await raw.refusal(show(await taskOf(fits + 1)))).toMatchObject({
    code: 'reply_too_large',
    context: { limit: frameBytesMax },
  });
  await raw.pong();
});
