/** Who is ended as slow or idle, and who only seems to be, in virtual time. */
import { expect, test } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { type Harness, harness } from './harness.ts';
import { settle, VirtualClock } from './virtual-clock.ts';

const sessionOf = (broker: Harness, at: number) => [...broker.running.broker.sessions][at]!;
const outboundBytesMax = 4_000_000;

/** A session for which messages of 3.4 MB wait and an answer behind them, and which reads nothing yet. */
async function reader() {
  const clock = new VirtualClock();
  const broker = await harness({ outboundBytesMax, slowGraceMs: 10_000, pingMs: 1e9, idleMs: 1e9 }, { clock });
  const [raw, publisher] = [await broker.session(), await broker.session()];
  await raw.request('topic.subscribe', { patterns: ['a'] });
  const { id } = await raw.request('task.submit', { operation: 'a' });
  raw.stream.pause();
  for (let count = 0; count < 170; count++) publisher.send(Kind.publish, 'a', 'x'.repeat(20_000));
  await publisher.pong();
  raw.ask('task.show', { id });
  await settle();
  const session = sessionOf(broker, 0);
  expect(session.reads.isBlocked).toBe(true);
  /** Takes some of what waits for it; its answer still waits. */
  const take = async (): Promise<void> => {
    const before = session.peer.link.queuedBytes;
    while (session.peer.link.queuedBytes === before) {
      raw.stream.read();
      await settle();
    }
    expect(session.reads.isBlocked).toBe(true);
  };
  return { broker, clock, raw, session, take };
}

test('a session whose answers wait stays as long as it takes some of them within the grace', async () => {
  const { broker, clock, session, take } = await reader();
  await using _ = broker;
  for (let round = 0; round < 5; round++) {
    await clock.advance(6000);
    expect(session.state).toBe('open');
    await take();
  }
});

test('one that takes some of them and then nothing for the grace is ended', async () => {
  const { broker, clock, raw, session, take } = await reader();
  await using _ = broker;
  await clock.advance(6000);
  await take();
  await clock.advance(20_000); // a look at the end of each grace
  expect(session.state).toBe('closed');
  raw.stream.resume();
  await settle();
  expect(raw.closed).toBe(true);
});

test('a publisher that a slow subscriber holds back is not ended as idle', async () => {
  const clock = new VirtualClock();
  const limits = { outboundBytesMax: 100_000, slowGraceMs: 60_000, pingMs: 1000, idleMs: 3000 };
  await using broker = await harness(limits, { clock });
  const [slow, publisher] = [await broker.session(), await broker.session()];
  await slow.request('topic.subscribe', { patterns: ['a'] });
  slow.stream.pause();
  for (let sequence = 1; sequence <= 20; sequence++)
    publisher.send(Kind.publishConfirmed, sequence, 'a', 'x'.repeat(20_000));
  await settle();
  const session = sessionOf(broker, 1);
  expect(session.isHeldBack).toBe(true);
  for (let second = 0; second < 12; second++) {
    slow.send(Kind.pong, 1); // it reads nothing, and is alive
    await clock.advance(1000);
  }
  expect([session.isHeldBack, session.state]).toEqual([true, 'open']);
  slow.stream.resume();
  await settle();
  await clock.advance(0);
  expect(await publisher.next(([kind, sequence]) => kind === Kind.ack && sequence === 20)).toEqual([Kind.ack, 20, 1]);
});
