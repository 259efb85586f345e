/** Requests whose answers take their time: what came in for them is bounded, and whoever sends more waits. */
import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { GatedStore } from '../broker/gated-store.ts';
import { harness, type Raw, until } from '../broker/harness.ts';
import { settle } from '../broker/virtual-clock.ts';
import { speak } from '../tables/spoken.ts';

const mib = 1024 * 1024;
const payload = Buffer.alloc(60_000);

/** Sends submits until the broker takes no more, at most 64 MiB; resolves with how many. */
async function fill(raw: Raw, make: (at: number) => object): Promise<number> {
  let sent = 0;
  for (; sent < 1100 && raw.stream.writableLength < mib; sent++) {
    raw.write(encodeFrame([Kind.request, 70_000 + sent, 'broker', 'task.submit', make(sent), 0]));
    await settle();
  }
  return sent;
}

test.each<[string, (at: number) => object]>([
  ['commits', () => ({ operation: 'a', payload })],
  [
    'look-ups',
    (at) => ({ operation: 'a', payload, id: `00000000-0000-7000-8000-${at.toString(16).padStart(12, '0')}` }),
  ],
])('a session that submits faster than the store does its %s waits', async (_what, make) => {
  const store = new GatedStore().hold();
  await using broker = await harness({}, { store });
  const raw = await broker.session();
  const sent = await fill(raw, make);
  expect(sent * payload.length).toBeLessThan(12 * mib);
  store.release();
  await until(() => raw.frames.filter(([kind]) => kind === Kind.reply).length === sent, 'all are answered');
  expect(raw.frames.every(([, , status]) => status === 0)).toBe(true);
  expect((await raw.request('broker.health', {})).metrics.waiting).toBe(sent);
  speak('inboundBytesMax');
});

test('open waits hold nothing back: they have a limit of their own', async () => {
  await using broker = await harness({ inboundBytesMax: 1000 });
  const raw = await broker.session();
  const { id } = await raw.request('task.submit', { operation: 'a' });
  const waits = Array.from({ length: 100 }, () => raw.ask('task.wait', { id }));
  expect((await raw.request('broker.health', {})).metrics.waiting).toBe(1);
  await raw.request('task.cancel', { id });
  for (const wait of waits) expect(await raw.reply(wait)).toMatchObject({ state: 'cancelled' });
});
