import { afterEach, expect, test, vi } from 'vitest';
import { type Client, connect } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/options.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { FakeBroker, type FakeConnection } from './fake-broker.ts';

const id = '0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10';
const clients: Client[] = [];
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function meet(
  broker = new FakeBroker(),
  options: ClientOptions = {},
): Promise<{ client: Client; broker: FakeBroker; peer: FakeConnection }> {
  const client = await connect({ transport: broker.transport, name: 'test', ...options });
  clients.push(client);
  return { client, broker, peer: await broker.connection(0) };
}

test('a wait longer than the broker allows goes on until its own time is over', async () => {
  const { client, peer } = await meet();
  const waiting = client.wait(id, { timeoutMs: Number.POSITIVE_INFINITY });
  for (let round = 0; round < 3; round++) {
    const request = await peer.request('task.wait');
    expect(request).toMatchObject({ params: { id, include: ['result'] }, timeoutMs: 3_600_000 });
    peer.refuse(request, 'deadline_exceeded');
  }
  peer.reply(await peer.request('task.wait'), { id, state: 'completed', result: 1 });
  expect(await waiting).toMatchObject({ state: 'completed', result: 1 });

  const short = client.wait(id, { timeoutMs: 50, include: [] });
  const refused = expect(short).rejects.toMatchObject({ code: 'deadline_exceeded' });
  const refuseAll = async () => {
    for (;;) peer.refuse(await peer.request('task.wait'), 'deadline_exceeded');
  };
  refuseAll().catch(() => {}); // until the connection is closed
  await refused;
});

test('show and fetch ask for the bodies that are wanted and no others', async () => {
  const { client, peer } = await meet();
  const shown = client.show(id);
  const plain = await peer.request('task.show');
  expect(plain.params).toEqual({ id, include: [] });
  peer.reply(plain, { id, payload_bytes: 3 });
  expect(await shown).toEqual({ id, payload_bytes: 3 });

  const fetched = client.fetch(id, 'payload');
  const withBody = await peer.request('task.show');
  expect(withBody.params).toEqual({ id, include: ['payload'] });
  peer.reply(withBody, { id, payload: [1, 2] });
  expect(await fetched).toEqual([1, 2]);
});

test('a submit is repeated over a broker that stops: after a refusal, a goodbye, and a lost connection', async () => {
  const { client, broker, peer } = await meet();
  const submitted = client.submit({ operation: 'x' });
  const first = await peer.request('task.submit');
  peer.refuse(first, 'broker_stopping');
  const second = await peer.request('task.submit');
  peer.goodbye('shutting_down');
  const third = await (await broker.connection(1)).request('task.submit');
  broker.connections[1]!.stream.destroy();
  const last = await broker.connection(2);
  const fourth = await last.request('task.submit');
  expect([second, third, fourth].map(({ params }) => params.id)).toEqual(Array(3).fill(first.params.id));
  last.reply(fourth, { id: first.params.id, state: 'pending', duplicate: false });
  expect(await submitted).toMatchObject({ state: 'pending' });
});

test('a request is not repeated after any other refusal', async () => {
  const { client, peer } = await meet();
  const submitted = client.submit({ operation: 'x' });
  peer.refuse(await peer.request('task.submit'), 'queue_full');
  await expect(submitted).rejects.toMatchObject({ code: 'queue_full', retry: true });
});

test('a body that cannot be decoded fails its own call as malformed_body, and nothing else', async () => {
  const { client, peer } = await meet();
  const refused: string[] = [];
  client.onRefused = ({ code }) => refused.push(code);
  const call = client.call('someone', 'x');
  const { id: callId } = await peer.request('x');
  const other = client.call('someone', 'y');
  peer.sendUndecodable(Kind.publish, 'a.b');
  peer.sendUndecodable(Kind.reply, callId, 0);
  await expect(call).rejects.toMatchObject({ name: 'FaultError', code: 'malformed_body' });
  expect(refused).toEqual(['malformed_body']);
  peer.sendUndecodable(Kind.request, 70_000, 'test', 'z');
  expect(await peer.kind(Kind.reply)).toMatchObject([Kind.reply, 70_000, 1, { code: 'malformed_body' }]);
  peer.reply(await peer.request('y'), 'fine');
  expect(await other).toBe('fine');
});

test('what a broker does not read is bounded: realtime is refused, what is answered waits in its order', async () => {
  const { client, peer } = await meet();
  peer.stream.pause();
  const body = 'x'.repeat(64 * 1024);
  let sent = 0;
  while (client.publish('a.b', body)) sent++;
  expect(sent * body.length).toBeGreaterThan(15 * 1024 * 1024);
  expect(sent * body.length).toBeLessThan(17 * 1024 * 1024);
  const controller = new AbortController();
  const unwanted = client.call('someone', 'unwanted', {}, { signal: controller.signal });
  const wanted = client.call('someone', 'wanted');
  const confirmed = client.publish('a.b', 1, { confirm: true });
  controller.abort();
  await expect(unwanted).rejects.toMatchObject({ code: 'cancelled' });
  peer.stream.resume();
  peer.reply(await peer.request('wanted'), 'here');
  expect(await wanted).toBe('here');
  const [, sequence] = await peer.kind(Kind.publishConfirmed);
  peer.send(Kind.ack, sequence, 3);
  expect(await confirmed).toEqual({ subscribers: 3 });
  expect(client.publish('a.b', 2)).toBe(true);
  expect(peer.left.filter(([kind]) => kind === Kind.publish)).toHaveLength(sent);
  expect(peer.left.filter(([kind]) => kind === Kind.request || kind === Kind.cancel)).toEqual([]);
});

test('what waits for room fails when the connection ends', async () => {
  const { client, peer } = await meet(new FakeBroker(), { reconnect: false });
  peer.stream.pause();
  while (client.publish('a.b', 'x'.repeat(64 * 1024)));
  const call = expect(client.call('someone', 'x')).rejects.toMatchObject({ code: 'connection_lost' });
  const publish = expect(client.publish('a.b', 1, { confirm: true })).rejects.toMatchObject({
    code: 'connection_lost',
  });
  await Promise.resolve();
  peer.stream.destroy();
  await Promise.all([call, publish]);
});

test('a body that cannot travel is refused where it is sent, with headers too', async () => {
  const { client } = await meet();
  const at = new Date();
  expect(() => client.publish('a.b', { at })).toThrow(/cannot travel/);
  expect(() => client.publish('a.b', { at }, { headers: { a: 1 } })).toThrow(/cannot travel/);
  await expect(client.publish('a.b', 1, { headers: { at }, confirm: true })).rejects.toThrow(/cannot travel/);
  await expect(client.call('someone', 'x', { at })).rejects.toThrow(/cannot travel/);
});

test('one signal for many calls is no leak, and cancels them all', async () => {
  const warnings: string[] = [];
  const warned = (warning: Error) => warnings.push(warning.name);
  process.on('warning', warned);
  const { client, peer } = await meet();
  const controller = new AbortController();
  const listens = vi.spyOn(controller.signal, 'addEventListener');
  const calls = Array.from({ length: 30 }, () => client.call('someone', 'x', {}, { signal: controller.signal }));
  const outcomes = Promise.allSettled(calls);
  const requests = [];
  for (const _ of calls) requests.push(await peer.request('x'));
  controller.abort();
  expect((await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(
    calls.map(() => 'cancelled'),
  );
  for (const { id: callId } of requests) expect(await peer.kind(Kind.cancel)).toEqual([Kind.cancel, callId]);
  await expect(client.call('someone', 'x', {}, { signal: controller.signal })).rejects.toMatchObject({
    code: 'cancelled',
  });
  process.off('warning', warned);
  expect(warnings).toEqual([]);
  expect(listens).toHaveBeenCalledTimes(1);
  expect(peer.left).toEqual([]);
});

test('a pattern that another subscription takes up meanwhile is not taken back', async () => {
  const { client, peer } = await meet();
  const subscribed = client.subscribe('a.*');
  peer.reply(await peer.request('topic.subscribe'), { subscriptions: 1 });
  const first = await subscribed;
  const again = client.subscribe('a.*');
  const request = await peer.request('topic.subscribe');
  await first.close();
  peer.reply(request, { subscriptions: 1 });
  const second = await again;
  peer.send(Kind.publish, 'a.b', 1);
  expect(await second.next()).toMatchObject({ value: { body: 1 } });
  expect(peer.left).toEqual([]);
  await expect(client.subscribe('a..b')).rejects.toMatchObject({ code: 'bad_pattern' });
});

test('a streamed answer ends when its caller has gone', async () => {
  const { client, peer } = await meet();
  const ended = Promise.withResolvers<void>();
  client.serve(async function* () {
    try {
      for (let part = 0; ; part++) {
        yield part;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      ended.resolve();
    }
  });
  peer.send(Kind.request, 70_000, 'test', 'list', {}, 1000);
  expect(await peer.kind(Kind.chunk)).toEqual([Kind.chunk, 70_000, 0]);
  peer.send(Kind.cancel, 70_000);
  await ended.promise;
});
