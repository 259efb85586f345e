/** Realtime messages: a reader of equal speed loses none, one that does not read costs nobody anything. */
import { expect, test } from 'vitest';
import { encodeFrame, FrameReader, Kind } from '../../src/protocol/frame.ts';
import { type Harness, harness, type Raw } from '../broker/harness.ts';
import { settle, VirtualClock } from '../broker/virtual-clock.ts';

const frame = encodeFrame([Kind.publish, 'a', Buffer.alloc(1024)]);
const perChunk = 60;
const chunk = Buffer.concat(Array.from({ length: perChunk }, () => frame));

/** Publishes what the stream takes in each turn of the loop. */
async function publish(publisher: Raw, messages: number): Promise<void> {
  for (let sent = 0; sent < messages; sent += perChunk) {
    publisher.write(Buffer.from(chunk));
    if (publisher.stream.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A subscriber that counts, and reads in each turn of the loop what has come. */
async function reader(broker: Harness): Promise<{ count: number }> {
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: ['a'] });
  const counted = { count: 0 };
  const { stream } = raw;
  stream.removeAllListeners('data');
  stream.pause();
  const frames = new FrameReader(1 << 24);
  const sink = {
    frame() {
      counted.count++;
      return true;
    },
  };
  const look = (): void => {
    if (stream.destroyed) return;
    // To the end: Node 26 gives what lies there piece by piece, earlier ones all at once.
    for (let bytes = stream.read() as Buffer | null; bytes !== null; bytes = stream.read()) frames.feed(bytes, sink);
    setImmediate(look);
  };
  look();
  return counted;
}

test('200,000 messages of 1 KiB to a reader of equal speed: none is lost', async () => {
  await using broker = await harness();
  const counted = await reader(broker);
  const publisher = await broker.session();
  const messages = Math.ceil(200_000 / perChunk) * perChunk;
  await publish(publisher, messages);
  await publisher.pong();
  while (counted.count < messages) {
    expect(broker.running.broker.relay.totals.dropped).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(broker.running.broker.relay.totals).toMatchObject({ published: messages, delivered: messages, dropped: 0 });
});

/** A subscriber that took something at the start, in virtual time, and a publisher. */
async function scene() {
  const clock = new VirtualClock();
  const broker = await harness({ outboundBytesMax: 200_000, pingMs: 1e9, slowGraceMs: 1e9 }, { clock });
  const slow = await broker.session();
  await slow.request('topic.subscribe', { patterns: ['a'] });
  slow.stream.pause();
  const publisher = await broker.session();
  publisher.write(Buffer.from(chunk)).write(Buffer.from(chunk)); // what its end of the stream takes by itself
  await clock.advance(200);
  const { totals } = broker.running.broker.relay;
  const peer = [...broker.running.broker.sessions][0]!.peer;
  const publishOne = async () => {
    publisher.write(Buffer.from(chunk));
    await settle();
  };
  return { clock, broker, slow, publisher, totals, peer, publishOne };
}

test('a deaf subscriber causes no stall, and loses what it has no room for', async () => {
  const { broker, totals, peer, publishOne } = await scene();
  await using _ = broker;
  for (let count = 2; count < 50; count++) await publishOne();
  expect(totals).toMatchObject({ published: 50 * perChunk, stalls: 0 });
  expect(peer.dropped).toBeGreaterThan(40 * perChunk);
});

test('one that takes a trickle stalls its publisher once in stallRecentMs, for stallMs', async () => {
  const { clock, broker, slow, totals, publishOne } = await scene();
  await using _ = broker;
  for (let elapsedMs = 0; elapsedMs < 1000; elapsedMs += 5) {
    for (let count = 0; count < 4; count++) await publishOne();
    if (elapsedMs % 50 === 0) slow.stream.read(); // a fortieth of what comes
    await clock.advance(5);
  }
  expect(totals.stalls).toBeGreaterThan(1);
  expect(totals.stalls).toBeLessThanOrEqual(10); // each 10 ms long: a tenth of the time
  expect(totals.published).toBeGreaterThan(700 * perChunk);
});
