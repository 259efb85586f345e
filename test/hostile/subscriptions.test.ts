/** Subscribers that do not read: what is kept for them is what is counted, whatever the size of the frames. */
import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { harness, type Raw } from '../broker/harness.ts';
import { settle } from '../broker/virtual-clock.ts';
import { retainedBytes } from './retained.ts';

const mib = 1024 * 1024;
const chunkBytes = 64 * 1024;

/** Writes the frames in chunks of their own memory, as a socket delivers them, wherever the edges of frames are. */
async function publish(publisher: Raw, frame: Buffer, bytes: number): Promise<void> {
  const all = Buffer.concat(Array.from({ length: Math.ceil(bytes / frame.length) }, () => frame));
  for (let at = 0; at < all.length; at += chunkBytes) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, all.length - at));
    all.copy(chunk, 0, at);
    publisher.write(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await publisher.pong();
}

test.each([100, 2048, 4096, 8192, 11_000, 16_384, 17_000, 32_768, 65_000])(
  'frames of %i bytes: 8 MiB are kept, not the chunks they came in',
  async (size) => {
    await using broker = await harness({ slowGraceMs: 600_000 });
    const [publisher, deaf] = [await broker.session(), await broker.session()];
    await deaf.request('topic.subscribe', { patterns: ['a'] });
    deaf.stream.pause();
    const { link } = [...broker.running.broker.sessions][1]!.peer;
    const frame = encodeFrame([Kind.publish, 'a', Buffer.alloc(size - 16)]);
    const before = await retainedBytes();
    await publish(publisher, frame, 24 * mib);
    await settle();
    expect(link.queuedBytes).toBeGreaterThan(8 * mib);
    expect(link.queuedBytes).toBeLessThan(10.5 * mib);
    expect((await retainedBytes()) - before).toBeLessThan(link.queuedBytes * 1.5 + 4 * mib);
    expect(broker.running.broker.relay.totals.dropped).toBeGreaterThan(0);
  },
);

test('what is kept arrives whole and in order when it is read', async () => {
  await using broker = await harness({ outboundBytesMax: mib, slowGraceMs: 600_000 });
  const [publisher, slow] = [await broker.session(), await broker.session()];
  await slow.request('topic.subscribe', { patterns: ['a'] });
  slow.stream.pause();
  const bodies = Array.from({ length: 200 }, (_, at) => Buffer.alloc(100 + ((at * 7919) % 30_000), at));
  publisher.write(Buffer.concat(bodies.map((body) => encodeFrame([Kind.publish, 'a', body]))));
  await publisher.pong();
  const { dropped } = broker.running.broker.relay.totals;
  slow.stream.resume();
  await slow.pong();
  const got = slow.frames.filter(([kind]) => kind === Kind.publish).map(([, , body]) => body);
  expect(got).toHaveLength(200 - dropped);
  expect(got).toEqual(bodies.slice(0, got.length));
});
