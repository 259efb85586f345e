/** Every fault that ends a session, over a Unix socket: its code and what to do, and nobody else is disturbed. */
import { expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { StoreError } from '../../src/store/port.ts';
import { type Harness, harness, type Raw, until } from '../broker/harness.ts';
import { bystander } from './bystander.ts';
import { speak } from './spoken.ts';

const socket = { socket: true };

test.each<[code: string, message: RegExp, wrong: (raw: Raw) => unknown]>([
  ['hello_expected', /must be a hello/, (raw) => raw.send(Kind.ping, 1)],
  ['hello_expected', /name/, (raw) => raw.send(Kind.hello, { protocol: '1.0' })],
  ['hello_expected', /role/, (raw) => raw.hello('king')],
  ['malformed_frame', /array/, (raw) => raw.write(Buffer.from([0, 0, 0, 3, 0xcd, Kind.hello, 5]))],
  ['malformed_frame', /array/, (raw) => raw.write(Buffer.from([0, 0, 0, 2, 0xa1, Kind.hello]))],
  ['protocol_version', /9\.1.*1\.0.*Use a deye/, (raw) => raw.send(Kind.hello, { protocol: '9.1', name: 'x' })],
  ['malformed_frame', /32-bit/, (raw) => raw.hello().send(Kind.request, 5, 'broker', 'broker.health', {}, 0)],
  ['malformed_frame', /kind 77/, (raw) => raw.hello().send(77, 1)],
  ['malformed_frame', /does not follow/, (raw) => raw.hello().send(Kind.publishConfirmed, 0, 'a', 1)],
  ['frame_too_large', /over the limit of 16777216/, (raw) => raw.hello().write(Buffer.from([1, 0, 0, 1]))],
])('%s: %s', async (code, message, wrong) => {
  await using broker = await harness({}, socket);
  const other = await bystander(broker);
  const raw = broker.raw();
  wrong(raw);
  expect(await raw.goodbye()).toMatchObject({ code, message: expect.stringMatching(message) });
  await other.unharmed();
});

test('hello_timeout: no hello within handshakeMs', async () => {
  await using broker = await harness({ handshakeMs: 30 }, socket);
  const other = await bystander(broker);
  expect(await broker.raw().goodbye()).toMatchObject({
    code: 'hello_timeout',
    message: expect.stringMatching(/30 ms/),
  });
  await other.unharmed();
});

test('idle_timeout: nothing within idleMs, not even a pong', async () => {
  await using broker = await harness({ pingMs: 20, idleMs: 200 }, socket);
  const other = await bystander(broker);
  const raw = await broker.session();
  expect(await raw.goodbye()).toMatchObject({
    code: 'idle_timeout',
    message: expect.stringMatching(/not even a pong/),
  });
  await other.unharmed();
});

test('busy: one connection more than connectionsMax', async () => {
  await using broker = await harness({ connectionsMax: 3 }, socket);
  const other = await bystander(broker);
  await broker.session();
  const last = await broker.session();
  expect(await broker.raw().hello().goodbye()).toMatchObject({
    code: 'busy',
    context: { limit: 3, retry_after_ms: 1000 },
  });
  await other.unharmed();
  last.stream.destroy();
  await until(() => broker.running.broker.sessions.size === 2, 'it is gone');
  await broker.session();
  speak('connectionsMax');
});

/** A subscriber of `topic` that reads nothing, over its limit. */
async function deaf(broker: Harness, topic: string): Promise<Raw> {
  const raw = await broker.session();
  await raw.request('topic.subscribe', { patterns: [topic] });
  raw.stream.pause();
  return raw;
}

test('slow_consumer: a subscriber that holds a confirmed publish up for slowGraceMs', async () => {
  await using broker = await harness({ outboundBytesMax: 100_000, slowGraceMs: 100 }, socket);
  const other = await bystander(broker);
  const slow = await deaf(broker, 'a');
  const publisher = await broker.client('p');
  const body = 'x'.repeat(50_000);
  await Promise.all(Array.from({ length: 100 }, () => publisher.publish('a', body, { confirm: true })));
  await until(() => broker.running.broker.sessions.size === 2, 'it was disconnected');
  slow.stream.resume();
  expect(await slow.goodbye()).toMatchObject({
    code: 'slow_consumer',
    message: expect.stringMatching(/"raw" did not read/),
  });
  await other.unharmed();
});

test('shutting_down: those who are there, and those who come while it stops', async () => {
  const store = new MemoryStore();
  await using broker = await harness({}, { ...socket, store });
  const other = await bystander(broker);
  const raw = await broker.session();
  broker.running.broker.stopAccepting();
  expect(await broker.raw().hello().goodbye()).toMatchObject({
    code: 'shutting_down',
    message: expect.stringMatching(/stopping/),
  });
  await other.unharmed();
  const ended = raw.goodbye();
  await broker.running.stop('immediate');
  expect(await ended).toMatchObject({ code: 'shutting_down', context: { retry_after_ms: 1000 } });
  await other.toldOf('shutting_down');
  await using next = await harness({}, { ...socket, store });
  await other.outlives(next);
});

test('store_unwritable: nothing is acknowledged, and everybody is told why', async () => {
  const store = new MemoryStore();
  const fatal: Error[] = [];
  await using broker = await harness({}, { ...socket, store, fatal: (error) => fatal.push(error) });
  const other = await bystander(broker);
  const { commit } = store;
  store.commit = () => Promise.reject(new StoreError('store_full', 'The disk is full.'));
  const [one, two] = [await broker.session(), await broker.session()];
  one.ask('task.submit', { operation: 'a' });
  for (const raw of [one, two])
    expect(await raw.goodbye()).toMatchObject({
      code: 'store_unwritable',
      message: expect.stringMatching(/The disk is full/),
      context: { cause: 'store_full' },
    });
  expect(one.frames).toEqual([]);
  expect(fatal).toHaveLength(1);
  await other.toldOf('store_unwritable');
  store.commit = commit;
  await using next = await harness({}, { ...socket, store });
  await other.outlives(next);
});

test('an unknown kind is refused whatever follows it in the same chunk', async () => {
  await using broker = await harness({}, socket);
  const raw = await broker.session();
  raw.write(Buffer.concat([encodeFrame([77, 1]), encodeFrame([Kind.publish, 'a', 1]), encodeFrame([Kind.ping, 1])]));
  expect((await raw.goodbye()).code).toBe('malformed_frame');
  expect(raw.frames).toEqual([]);
});
