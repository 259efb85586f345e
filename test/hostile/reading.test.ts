/**
 * Clients that ask and do not read. Whatever the broker would write for them counts, and beyond the limit they are not
 * served; the broker's memory is bounded by that, and others are served as before.
 */
import { expect, test } from 'vitest';
import type { Session } from '../../src/broker/session.ts';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import type { StoredDetail } from '../../src/store/port.ts';
import { type Harness, harness, type Raw, until } from '../broker/harness.ts';
import { settle } from '../broker/virtual-clock.ts';
import { retainedBytes } from './retained.ts';

const mib = 1024 * 1024;
const patient = { slowGraceMs: 600_000 };

/** The broker's side of the session that connected last. */
const latest = (broker: Harness): Session => [...broker.running.broker.sessions].at(-1)!;

/** A task that has ended, with a payload of so many bytes. */
async function bigTask(broker: Harness, bytes: number): Promise<string> {
  const raw = await broker.session();
  const { id } = await raw.request('task.submit', { operation: 'a', payload: Buffer.alloc(bytes - 5) });
  return id;
}

/** A session that has been welcomed and reads nothing any more. */
async function deaf(broker: Harness, role: 'operator' | 'collector' | 'observer' = 'observer'): Promise<Raw> {
  const raw = await broker.session(role);
  raw.stream.pause();
  return raw;
}

const isServed = async (broker: Harness): Promise<void> => {
  const good = await broker.session();
  expect((await good.request('task.submit', { operation: 'good' })).state).toBe('pending');
  expect((await good.request('broker.health', {})).status).toBe('healthy');
};

test('300 times task.show of a task of 8 MiB, nothing read: two answers are kept, not three hundred', async () => {
  await using broker = await harness(patient);
  const id = await bigTask(broker, 8 * mib);
  const before = await retainedBytes();
  const greedy = await deaf(broker);
  for (let count = 0; count < 300; count++) greedy.ask('task.show', { id, include: ['payload'] });
  const session = latest(broker);
  await until(() => session.reads.isBlocked, 'its answers wait');
  await isServed(broker);
  expect(session.peer.link.queuedBytes).toBeLessThan(17 * mib);
  expect((await retainedBytes()) - before).toBeLessThan(24 * mib);
});

test('what was not read is answered when it is, in order and whole', async () => {
  await using broker = await harness({ ...patient, outboundBytesMax: mib });
  const id = await bigTask(broker, mib);
  const slow = await deaf(broker);
  const ids = Array.from({ length: 30 }, () => slow.ask('task.show', { id, include: ['payload'] }));
  const session = latest(broker);
  await until(() => session.reads.isBlocked, 'its answers wait');
  slow.stream.resume();
  for (const one of ids) expect(await slow.reply(one)).toMatchObject({ payload_bytes: mib });
  expect(session.reads.length).toBe(0);
});

/** Counts how many tasks are read at once. */
class CountingStore extends MemoryStore {
  reading = 0;
  most = 0;
  total = 0;

  override async show(id: string): Promise<StoredDetail | undefined> {
    this.total++;
    this.most = Math.max(this.most, ++this.reading);
    await settle();
    this.reading--;
    return super.show(id);
  }
}

test.each<[string, (raw: Raw, at: number, id: string) => void]>([
  [
    'requests that are answered at once, under one id',
    (raw, at, id) => {
      raw.send(Kind.request, 80_000 + at, 'broker', 'task.show', { id, include: ['payload'] }, 0);
      raw.send(Kind.request, 70_000, 'broker', 'topic.unsubscribe', { patterns: ['x'] }, 0);
    },
  ],
  [
    'requests that are refused for their id, which is in use',
    (raw, at, id) => {
      raw.send(Kind.request, 70_000 + at, 'broker', 'task.show', { id, include: ['payload'] }, 0);
      raw.send(Kind.request, 70_000 + at, 'broker', 'topic.unsubscribe', { patterns: ['x'] }, 0);
    },
  ],
  [
    'requests that are refused, under the same id',
    (raw, at, id) => {
      raw.send(Kind.request, 70_000 + at, 'broker', 'task.show', { id, include: ['payload'] }, 0);
      raw.send(Kind.request, 70_000 + at, 'broker', 'no.such', {}, 0);
    },
  ],
  [
    'waits that are cancelled, and reads that are not',
    (raw, at, id) => {
      raw.send(Kind.request, 80_000 + at, 'broker', 'task.wait', { id }, 60_000);
      raw.send(Kind.request, 70_000 + at, 'broker', 'task.show', { id, include: ['payload'] }, 0);
      raw.send(Kind.cancel, 80_000 + at).send(Kind.cancel, 70_000 + at);
    },
  ],
])('one large answer is read at a time, whatever is sent beside it: %s', async (_what, ask) => {
  const store = new CountingStore();
  await using broker = await harness(patient, { store });
  const id = await bigTask(broker, 2 * mib);
  const greedy = await deaf(broker);
  for (let at = 0; at < 50; at++) ask(greedy, at, id);
  await until(() => latest(broker).reads.isBlocked, 'its answers wait');
  await isServed(broker);
  expect([store.most, store.total]).toEqual([1, 1]);
});

test('streamed chunks to a caller that does not read: the call ends, its callee is told', async () => {
  await using broker = await harness(patient);
  const [callee, caller] = [await broker.session('collector'), await broker.session()];
  await callee.register('w');
  const id = caller.ask('stream', {}, 'w', 60_000);
  const [, brokerId] = await callee.kind(Kind.request);
  caller.stream.pause();
  const before = await retainedBytes();
  const chunk = encodeFrame([Kind.chunk, brokerId, Buffer.alloc(64 * 1024)]);
  let sent = 0;
  let told = false;
  void callee.kind(Kind.cancel).then(() => {
    told = true;
  });
  for (; !told && sent < 4000; sent++) {
    callee.write(Buffer.from(chunk)); // the broker writes its ids into what it gets
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(told).toBe(true);
  expect(latest(broker).peer.link.queuedBytes).toBeLessThan(11 * mib);
  expect((await retainedBytes()) - before).toBeLessThan(16 * mib);
  await isServed(broker);
  caller.stream.resume();
  expect((await caller.refusal(id)).code).toBe('caller_too_slow');
});

test.each<[string, (at: number) => Buffer, role?: 'observer' | 'operator']>([
  ['refused confirmed publishes', (at) => encodeFrame([Kind.publishConfirmed, at + 1, 'mine', 1])],
  ['publishes on topics that break the grammar', (at) => encodeFrame([Kind.publishConfirmed, at + 1, 'Mine', 1])],
  ['acks', (at) => encodeFrame([Kind.publishConfirmed, at + 1, 'health.me', at]), 'operator'],
  ['pings', (at) => encodeFrame([Kind.ping, at])],
  ['refused requests', (at) => encodeFrame([Kind.request, 65_536 + at, 'broker', 'no.such', {}, 0])],
  ['refused calls', (at) => encodeFrame([Kind.request, 65_536 + at, 'nobody', 'no.such', {}, 0])],
  ['healths of nobody', (at) => encodeFrame([Kind.request, 65_536 + at, 'nobody', 'health_check', {}, 0])],
  [
    'subscriptions to nothing',
    (at) => encodeFrame([Kind.request, 65_536 + at, 'broker', 'topic.subscribe', { patterns: ['Bad'] }, 0]),
  ],
  ['snapshots', (at) => encodeFrame([Kind.request, 65_536 + at, 'broker', 'broker.snapshot', {}, 0])],
  ['lists', (at) => encodeFrame([Kind.request, 65_536 + at, 'broker', 'task.list', {}, 0])],
  [
    'submits',
    (at) => encodeFrame([Kind.request, 65_536 + at, 'broker', 'task.submit', { operation: 'A' }, 0]),
    'operator',
  ],
])(
  '%s, nothing read: not served beyond the limit, and all are answered when they are read',
  async (_what, frame, role) => {
    await using broker = await harness({ ...patient, outboundBytesMax: 100_000 });
    const greedy = await deaf(broker, role ?? 'observer');
    const { stream } = greedy;
    const session = latest(broker);
    const before = session.peer.link;
    let sent = 0;
    // Until a whole chunk of what is sent is not taken any more.
    while (stream.writableLength < 200_000) {
      expect(sent).toBeLessThan(100_000);
      for (let more = 0; more < 100; more++) stream.write(frame(sent++));
      await settle();
      expect(before.queuedBytes).toBeLessThan(200_000);
    }
    await isServed(broker);
    stream.resume();
    const lasts = [sent, 65_535 + sent, sent - 1];
    const isLast = ([kind, id]: unknown[]) => kind !== Kind.publish && lasts.includes(id as number);
    await until(() => greedy.frames.some(isLast), 'the last one is answered', Number.POSITIVE_INFINITY);
    expect(greedy.closed).toBe(false);
  },
);

test('a task whose payload and result are 9 MiB each: each can be shown, both together are refused', async () => {
  await using broker = await harness();
  const [operator, collector] = [await broker.session(), await broker.session('collector')];
  await collector.register('w');
  const body = Buffer.alloc(9 * mib);
  const { id } = await operator.request('task.submit', { operation: 'work', payload: body });
  const { token } = (await collector.message()) as { token: string };
  await collector.request('task.complete', { task_id: id, token, result: body });
  for (const name of ['payload', 'result'] as const) {
    const shown = await operator.request('task.show', { id, include: [name] });
    expect((shown[name] as Buffer).length).toBe(9 * mib);
  }
  expect((await operator.refused('task.show', { id, include: ['payload', 'result'] })).code).toBe('reply_too_large');
  expect(await operator.request('task.wait', { id, include: [] })).toMatchObject({ state: 'completed' });
});
