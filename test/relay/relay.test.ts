import { describe, expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { harness, type Raw, until } from '../broker/harness.ts';

async function subscribed(broker: Awaited<ReturnType<typeof harness>>, ...patterns: string[]): Promise<Raw> {
  const raw = broker.raw().hello().send(Kind.request, 65_536, 'broker', 'topic.subscribe', { patterns }, 0);
  await raw.kind(Kind.welcome);
  await raw.kind(Kind.reply);
  return raw;
}

describe('publish', () => {
  test('every matching subscriber gets each message once, in order, byte for byte', async () => {
    await using broker = await harness();
    const one = await subscribed(broker, 'a.*', 'a.#', 'a.b');
    const two = await subscribed(broker, '#');
    const three = await subscribed(broker, 'a.c');
    const publisher = broker.raw().hello();
    await publisher.kind(Kind.welcome);
    const frames = Array.from({ length: 1000 }, (_, at) =>
      encodeFrame([Kind.publish, at % 3 === 0 ? 'a.c' : 'a.b', { at, text: 'x'.repeat(at % 50) }]),
    );
    // Odd chunks, so that frames lie across their edges.
    const stream = Buffer.concat(frames);
    for (let at = 0; at < stream.length; at += 777) publisher.write(stream.subarray(at, at + 777));
    await until(
      () => one.frames.length === 1000 && two.frames.length === 1000 && three.frames.length === 334,
      'all delivered',
    );
    const numbers = (raw: Raw) => raw.frames.map((frame) => (frame[2] as { at: number }).at);
    expect(numbers(one)).toEqual(Array.from({ length: 1000 }, (_, at) => at));
    expect(numbers(two)).toEqual(numbers(one));
    expect(numbers(three)).toEqual(numbers(one).filter((at) => at % 3 === 0));
    expect(broker.running.broker.relay.totals).toMatchObject({ published: 1000, delivered: 2334, dropped: 0 });
  });

  test('adjacent frames of one topic leave in one write', async () => {
    await using broker = await harness();
    const hearer = await subscribed(broker, 'a');
    const publisher = broker.raw().hello();
    await publisher.kind(Kind.welcome);
    const { link } = [...broker.running.broker.sessions].find(({ peer }) => peer.patterns.size > 0)!.peer;
    const before = link.writes;
    publisher.write(Buffer.concat(Array.from({ length: 500 }, (_, at) => encodeFrame([Kind.publish, 'a', at]))));
    await until(() => hearer.frames.length === 500, 'all delivered');
    expect(link.writes - before).toBe(1);
  });

  test('unsubscribe and exclude', async () => {
    await using broker = await harness();
    const client = await broker.client('c');
    const kept = await client.subscribe('a.#', { exclude: ['a.secret'] });
    const ended = await client.subscribe(['a.b', 'a.#']);
    await ended.close();
    for (const topic of ['a.secret', 'a.b']) await client.publish(topic, topic, { confirm: true });
    expect((await kept.next()).value?.topic).toBe('a.b');
    await kept.close();
    expect(await client.publish('a.b', 1, { confirm: true })).toEqual({ subscribers: 0 });
    expect(broker.running.broker.relay.subscriptions).toBe(0);
  });

  test('* and + are one pattern: what is taken back under one name is held under neither', async () => {
    await using broker = await harness();
    const raw = await broker.session();
    expect(await raw.request('topic.subscribe', { patterns: ['a.*', 'a.+'] })).toEqual({ subscriptions: 1 });
    expect(await raw.request('topic.subscribe', { patterns: ['a.+'], exclude: ['a.+.x'] })).toEqual({
      subscriptions: 1,
    });
    const publisher = await broker.client('p');
    expect(await publisher.publish('a.b', 1, { confirm: true })).toEqual({ subscribers: 1 });
    expect(await raw.request('topic.unsubscribe', { patterns: ['a.+', 'a.*.x'] })).toEqual({ subscriptions: 0 });
    expect(await publisher.publish('a.b', 1, { confirm: true })).toEqual({ subscribers: 0 });
  });

  test('refused ones are said, once per ack or as sequence 0, and the session goes on', async () => {
    await using broker = await harness();
    const observer = broker.raw().hello('observer');
    observer
      .send(Kind.publishConfirmed, 1, 'my.topic', 'x')
      .send(Kind.publish, 'my.topic', 'x')
      .send(Kind.publishConfirmed, 2, 'health.me', 'ok')
      .send(Kind.publish, 'Bad..Topic', 1);
    expect(await observer.kind(Kind.ack)).toMatchObject([
      Kind.ack,
      1,
      0,
      { code: 'not_allowed', context: { rule: 'restricted' } },
    ]);
    expect(await observer.kind(Kind.ack)).toMatchObject([Kind.ack, 0, 0, { code: 'not_allowed' }]);
    expect(await observer.kind(Kind.ack)).toEqual([Kind.ack, 2, 0]);
    expect(await observer.kind(Kind.ack)).toMatchObject([Kind.ack, 0, 0, { code: 'bad_topic' }]);
    const collector = await broker.client('c', 'collector');
    await expect(collector.publish('events.process.new', 1, { confirm: true })).rejects.toMatchObject({
      code: 'not_allowed',
      message: expect.stringMatching(/event domain/),
    });
    await expect((await broker.client('o')).publish('control.tasks.x.y', 1, { confirm: true })).rejects.toMatchObject({
      code: 'not_allowed',
    });
  });
});

describe('acks', () => {
  test('are cumulative, and a new one starts where the number of subscribers changes', async () => {
    await using broker = await harness();
    await subscribed(broker, 'a');
    const publisher = broker.raw().hello();
    await publisher.kind(Kind.welcome);
    publisher.write(
      Buffer.concat(
        [1, 2, 3, 4, 5].map((sequence) =>
          encodeFrame([Kind.publishConfirmed, sequence, sequence < 4 ? 'a' : 'b', sequence]),
        ),
      ),
    );
    expect(await publisher.kind(Kind.ack)).toEqual([Kind.ack, 3, 1]);
    expect(await publisher.kind(Kind.ack)).toEqual([Kind.ack, 5, 0]);
  });

  test('a sequence that does not grow ends the session', async () => {
    await using broker = await harness();
    const publisher = broker
      .raw()
      .hello()
      .send(Kind.publishConfirmed, 2, 'a', 1)
      .send(Kind.publishConfirmed, 2, 'a', 1);
    expect((await publisher.kind(Kind.goodbye))[1]).toMatchObject({ code: 'malformed_frame' });
  });
});

describe('a subscriber that does not read', () => {
  const body = 'x'.repeat(50_000);

  test('loses realtime messages, counted; others get theirs', async () => {
    await using broker = await harness({ outboundBytesMax: 200_000 });
    const slow = await subscribed(broker, 'a');
    slow.stream.pause();
    const quick = await subscribed(broker, 'a');
    const publisher = broker.raw().hello();
    for (let at = 0; at < 200; at++) {
      publisher.send(Kind.publish, 'a', body);
      await until(() => quick.frames.length === at + 1, `message ${at}`);
    }
    const session = [...broker.running.broker.sessions].find(({ peer }) => peer.dropped > 0)!;
    expect(session.peer.dropped).toBeGreaterThan(100);
    expect(broker.running.broker.relay.totals.dropped).toBe(session.peer.dropped);
    expect(session.peer.link.queuedBytes).toBeLessThan(400_000);
  });

  test('slows a processed publisher down, and is disconnected by name after the grace', async () => {
    await using broker = await harness({ outboundBytesMax: 200_000, slowGraceMs: 150 });
    const slow = await subscribed(broker, 'a');
    slow.stream.pause();
    const quick = await subscribed(broker, 'a');
    const publisher = await broker.client('p');
    const acks = Array.from({ length: 100 }, () => publisher.publish('a', body, { confirm: true }));
    expect(await Promise.all(acks)).toHaveLength(100);
    await until(() => quick.frames.length === 100, 'nothing was lost');
    slow.stream.resume();
    await until(() => slow.closed, 'it was disconnected');
    expect(slow.frames.at(-1)).toMatchObject([Kind.goodbye, { code: 'slow_consumer' }]);
    expect(broker.running.broker.relay.totals.dropped).toBe(0);
  });

  test('and reads again in time: nothing is lost and nobody is disconnected', async () => {
    await using broker = await harness({ outboundBytesMax: 200_000, slowGraceMs: 10_000 });
    const slow = await subscribed(broker, 'a');
    slow.stream.pause();
    const publisher = await broker.client('p');
    const acks = Promise.all(
      Array.from({ length: 100 }, (_, at) => publisher.publish('a', `${at} ${body}`, { confirm: true })),
    );
    await until(
      () => [...broker.running.broker.sessions].some(({ peer }) => broker.running.broker.relay.holds.isHolding(peer)),
      'it holds the publisher up',
    );
    slow.stream.resume();
    await acks;
    await until(() => slow.frames.length === 100, 'all of them came');
    expect(slow.frames.map((frame) => Number.parseInt(frame[3] as string, 10))).toEqual(
      Array.from({ length: 100 }, (_, at) => at),
    );
  });
});

test('a client that does not read its answers is held back, then disconnected; others are served', async () => {
  await using broker = await harness({ outboundBytesMax: 100_000, slowGraceMs: 200 });
  const other = await broker.client('other');
  const greedy = broker.raw().hello();
  await greedy.kind(Kind.welcome);
  greedy.stream.pause();
  for (let id = 65_536; id < 75_536; id++) greedy.send(Kind.request, id, 'broker', 'broker.capabilities', {}, 0);
  const session = [...broker.running.broker.sessions].at(-1)!;
  await until(() => session.reads.isFull, 'it is not served any more');
  expect(session.peer.link.queuedBytes).toBeLessThan(700_000);
  expect(session.reads.length).toBeLessThanOrEqual(1000);
  expect((await other.request('broker.health', {})).status).toBe('healthy');
  await until(() => session.state === 'closed', 'it is disconnected');
});

describe('calls', () => {
  const withCollector = async (limits = {}) => {
    const broker = await harness(limits);
    const collector = await broker.client('c', 'collector');
    const offer = { collector_id: 'c1', collector_type: 't', operations: [{ name: 'work' }] };
    await collector.request('collector.register', offer);
    return { broker, collector, caller: await broker.client('caller') };
  };

  test('go to a collector by id or by operation, and back', async () => {
    const { broker, collector, caller } = await withCollector();
    await using _ = broker;
    collector.serve((method, params) => ({ method, params }));
    expect(await caller.call('c1', 'health_check', { deep: true })).toEqual({
      method: 'health_check',
      params: { deep: true },
    });
    expect(await caller.call('any:work', 'x')).toEqual({ method: 'x', params: {} });
    const many = await Promise.all(Array.from({ length: 500 }, (_, at) => caller.call('c1', 'n', { at })));
    expect(many.map((answer) => (answer as { params: { at: number } }).params.at)).toEqual(
      Array.from({ length: 500 }, (_, at) => at),
    );
  });

  test('stream their answer in parts', async () => {
    const { broker, collector, caller } = await withCollector();
    await using _ = broker;
    collector.serve(async function* () {
      yield 1;
      yield 2;
    });
    const parts: unknown[] = [];
    expect(await caller.call('c1', 'list', {}, { onChunk: (part) => parts.push(part) })).toBeNull();
    expect(parts).toEqual([1, 2]);
  });

  test('carry the refusal of the callee', async () => {
    const { broker, collector, caller } = await withCollector();
    await using _ = broker;
    collector.serve(() => {
      throw new Error('cannot');
    });
    await expect(caller.call('c1', 'x')).rejects.toMatchObject({ code: 'handler_failed', message: 'cannot' });
  });

  test('are refused at once when nobody can answer; the health of the unknown is an answer', async () => {
    const { broker, caller } = await withCollector();
    await using _ = broker;
    await expect(caller.call('nobody', 'start_collection')).rejects.toMatchObject({ code: 'not_found' });
    await expect(caller.call('any:dream', 'x')).rejects.toMatchObject({ code: 'no_capable_collector' });
    expect(await caller.call('nobody', 'health_check')).toMatchObject({
      status: 'unhealthy',
      components: { nobody: { status: 'unknown' } },
    });
  });

  test('fail now when the callee goes, and at the deadline when it says nothing', async () => {
    const { broker, collector, caller } = await withCollector();
    await using _ = broker;
    collector.serve(() => new Promise(() => {}));
    await expect(caller.call('c1', 'x', {}, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'deadline_exceeded' });
    const pending = caller.call('c1', 'x', {}, { timeoutMs: 60_000 });
    const outcome = expect(pending).rejects.toMatchObject({ code: 'collector_gone' });
    await until(() => broker.running.broker.calls.inFlight === 1, 'the call is there');
    await collector.close();
    await outcome;
    expect(broker.running.broker.calls.inFlight).toBe(0);
  });

  test('are cancelled at the callee when the caller cancels or goes', async () => {
    const { broker, collector, caller } = await withCollector();
    await using _ = broker;
    let aborted = 0;
    let started = 0;
    collector.serve((_method, _params, signal) => {
      started++;
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new Error(`aborted ${++aborted}`))),
      );
    });
    const controller = new AbortController();
    const call = expect(caller.call('c1', 'x', {}, { signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    await until(() => started === 1, 'it runs');
    controller.abort();
    await call;
    await until(() => aborted === 1, 'the callee was told');
    const other = await broker.client('other');
    void other.call('c1', 'x').catch(() => {});
    await until(() => started === 2, 'it runs');
    await other.close();
    await until(() => aborted === 2, 'the callee was told');
    expect(broker.running.broker.calls.inFlight).toBe(0);
  });

  test('an observer may only ask how a collector is', async () => {
    const { broker, collector } = await withCollector();
    await using _ = broker;
    collector.serve(() => 'fine');
    const observer = await broker.client('o', 'observer');
    expect(await observer.call('c1', 'health_check')).toBe('fine');
    await expect(observer.call('c1', 'shutdown')).rejects.toMatchObject({ code: 'not_allowed' });
  });

  test('a body that is no value harms that call or message only', async () => {
    const { broker, caller } = await withCollector();
    await using _ = broker;
    const refused: string[] = [];
    caller.onRefused = ({ code }) => refused.push(code);
    const messages = await caller.subscribe('a');
    const liar = broker.raw().hello();
    liar.write(
      Buffer.concat([Buffer.from([0, 0, 0, 5, 0x93, 2, 0xa1, 0x61, 0xc1]), encodeFrame([Kind.publish, 'a', 'true'])]),
    );
    expect((await messages.next()).value?.body).toBe('true');
    expect(refused).toEqual(['malformed_body']);
  });
});
