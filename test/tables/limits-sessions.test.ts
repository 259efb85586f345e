/** Limits of sessions, in virtual time: before the limit nothing happens, at it what its summary says. */
import { expect, test } from 'vitest';
import { ConnectionGate } from '../../src/broker/descriptors.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { transportPair } from '../../src/transport/pair.ts';
import { type Harness, harness, Raw, until } from '../broker/harness.ts';
import { settle, VirtualClock } from '../broker/virtual-clock.ts';
import { speak } from './spoken.ts';

async function inVirtualTime(limits: Parameters<typeof harness>[0]): Promise<{ broker: Harness; clock: VirtualClock }> {
  const clock = new VirtualClock();
  return { broker: await harness(limits, { clock }), clock };
}

const sessionOf = (broker: Harness, at: number) => [...broker.running.broker.sessions][at]!;

/** A session that subscribes to `a` and reads nothing any more. */
async function deaf(broker: Harness): Promise<Raw> {
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: ['a'] });
  raw.stream.pause();
  return raw;
}

test('handshakeMs', async () => {
  const { broker, clock } = await inVirtualTime({ handshakeMs: 2000 });
  await using _ = broker;
  const [silent, late] = [broker.raw(), broker.raw()];
  await clock.advance(1999);
  await late.hello().welcome();
  expect(silent.closed).toBe(false);
  await clock.advance(1);
  expect((await silent.goodbye()).code).toBe('hello_timeout');
  await late.pong();
  speak('handshakeMs');
});

test('pingMs and idleMs: looked at every pingMs', async () => {
  const { broker, clock } = await inVirtualTime({ pingMs: 1000, idleMs: 3000 });
  await using _ = broker;
  const raw = await broker.session();
  const pings = () => raw.frames.filter(([kind]) => kind === Kind.ping).length;
  await clock.advance(1999); // it spoke within the first of these spans
  expect(pings()).toBe(0);
  await clock.advance(1);
  expect(pings()).toBe(1);
  raw.send(Kind.pong, 1);
  await clock.advance(3999);
  expect([pings(), raw.closed]).toEqual([3, false]);
  await clock.advance(1);
  expect((await raw.goodbye()).code).toBe('idle_timeout');
  speak('pingMs');
  speak('idleMs');
});

test('outboundBytesMax: kept up to it, lost beyond it', async () => {
  const { broker } = await inVirtualTime({ outboundBytesMax: 100_000, stallRecentMs: -1 });
  await using _ = broker;
  await deaf(broker);
  const { peer } = sessionOf(broker, 0);
  const publisher = await broker.session();
  while (peer.dropped === 0) {
    expect(peer.link.queuedBytes).toBeLessThanOrEqual(110_000);
    publisher.send(Kind.publish, 'a', 'x'.repeat(10_000));
    await publisher.pong();
  }
  expect(peer.link.queuedBytes).toBeGreaterThan(100_000);
  speak('outboundBytesMax');
});

test('slowGraceMs', async () => {
  const { broker, clock } = await inVirtualTime({ outboundBytesMax: 100_000, slowGraceMs: 10_000, pingMs: 60_000 });
  await using _ = broker;
  const slow = await deaf(broker);
  const publisher = await broker.session();
  for (let sequence = 1; sequence <= 20; sequence++)
    publisher.send(Kind.publishConfirmed, sequence, 'a', 'x'.repeat(20_000));
  await settle();
  expect(broker.running.broker.relay.holds.isHolding(sessionOf(broker, 0).peer)).toBe(true);
  await clock.advance(9999);
  expect(sessionOf(broker, 0).state).toBe('open');
  await clock.advance(1);
  expect(broker.running.broker.sessions.size).toBe(1);
  slow.stream.resume();
  expect((await slow.goodbye()).code).toBe('slow_consumer');
  speak('slowGraceMs');
});

test('slowGraceMs: one that is full again and again, and reads every time, stays', async () => {
  const { broker, clock } = await inVirtualTime({ outboundBytesMax: 100_000, slowGraceMs: 10_000, pingMs: 60_000 });
  await using _ = broker;
  const slow = await deaf(broker);
  const publisher = await broker.session();
  const { holds } = broker.running.broker.relay;
  let sequence = 0;
  for (let round = 0; round < 5; round++) {
    expect(broker.running.broker.sessions.size).toBe(2);
    while (!holds.isHolding(sessionOf(broker, 0).peer)) {
      publisher.send(Kind.publishConfirmed, ++sequence, 'a', 'x'.repeat(20_000));
      await settle();
    }
    await clock.advance(6000);
    slow.stream.resume();
    await settle();
    slow.stream.pause();
  }
  expect(broker.running.broker.sessions.size).toBe(2);
});

/** Publishes until a message does not fit any more, `afterMs` after the subscriber last took something. */
async function overflow(limits: Parameters<typeof harness>[0], afterMs: number) {
  const { broker, clock } = await inVirtualTime({ outboundBytesMax: 100_000, ...limits });
  const subscriber = await broker.session();
  await subscriber.request('topic.subscribe', { patterns: ['a'] });
  const publisher = await broker.session();
  publisher.send(Kind.publish, 'a', 'first');
  await subscriber.message();
  subscriber.stream.pause();
  await settle();
  await clock.advance(afterMs);
  for (let count = 0; count < 12; count++) publisher.send(Kind.publish, 'a', 'x'.repeat(20_000));
  await settle();
  const { relay } = broker.running.broker;
  const [reader, sender] = [sessionOf(broker, 0), sessionOf(broker, 1)];
  return { broker, clock, relay, reader, isHeld: () => relay.holds.isHeld(sender.holdable) };
}

test('stallMs: a publisher pauses for a subscriber that is reading, and then goes on', async () => {
  const { broker, clock, relay, reader, isHeld } = await overflow({ stallMs: 10 }, 0);
  await using _ = broker;
  expect([isHeld(), relay.totals.stalls, reader.peer.dropped]).toEqual([true, 1, 0]);
  await clock.advance(9);
  expect(isHeld()).toBe(true);
  await clock.advance(1);
  expect(isHeld()).toBe(false);
  expect(reader.peer.dropped).toBeGreaterThan(0);
  expect(relay.totals.stalls).toBe(1); // the pause did not help, so there is none now
  speak('stallMs');
});

test('stallRecentMs: one that took nothing for longer costs nobody a pause', async () => {
  for (const [afterMs, stalls] of [
    [100, 1],
    [101, 0],
  ] as const) {
    const { broker, relay } = await overflow({ stallRecentMs: 100 }, afterMs);
    expect(relay.totals.stalls).toBe(stalls);
    await broker[Symbol.asyncDispose]();
  }
  speak('stallRecentMs');
});

test('refusalsMax: so many realtime publishes are refused aloud', async () => {
  const { broker } = await inVirtualTime({ refusalsMax: 3 });
  await using _ = broker;
  const raw = await broker.session('observer');
  for (let count = 0; count < 3; count++) raw.send(Kind.publish, 'mine', count);
  await raw.pong();
  expect(raw.frames.splice(0)).toHaveLength(3);
  raw.send(Kind.publish, 'mine', 4).send(Kind.publishConfirmed, 1, 'mine', 4);
  await raw.pong();
  expect(raw.frames).toMatchObject([[Kind.ack, 1, 0, { code: 'not_allowed' }]]);
  speak('refusalsMax');
});

test('busyHeldMax: of those that were told busy the oldest is closed, and the others after their hello', async () => {
  const gate = new ConnectionGate({ ...defaultLimits, connectionsMax: 0, handshakeMs: 600_000 }, () =>
    expect.unreachable(),
  );
  const enter = (): Raw => {
    const [mine, theirs] = transportPair();
    gate.admit(theirs, { scheme: 'unix', proof: 'directory' });
    return new Raw(mine);
  };
  const isClosed = ({ closed }: Raw) => closed;
  const held = Array.from({ length: 24 }, enter);
  for (const raw of held) expect(await raw.kind(Kind.goodbye)).toMatchObject([Kind.goodbye, { code: 'busy' }]);
  await settle();
  expect(held.filter(isClosed)).toHaveLength(0);
  const last = enter();
  await until(() => isClosed(held[0]!), 'the oldest is closed');
  await settle();
  expect(held.filter(isClosed)).toHaveLength(1);
  for (const raw of [...held.slice(1), last]) {
    raw.hello();
    await until(() => isClosed(raw), 'it is closed after its hello');
  }
  speak('busyHeldMax');
});
