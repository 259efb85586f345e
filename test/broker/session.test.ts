import { describe, expect, test } from 'vitest';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { harness, until } from './harness.ts';

const goodbye = async (raw: Awaited<ReturnType<typeof harness>>['raw'] extends () => infer R ? R : never) => {
  const [, fault] = await raw.kind(Kind.goodbye);
  await raw.ended();
  return fault as { code: string; message: string; context: Record<string, unknown> };
};

/** The frame with one byte more inside it, after its array. */
function leftOver(elements: readonly unknown[]): Buffer {
  const frame = Buffer.concat([encodeFrame(elements), Buffer.from([0])]);
  frame.writeUInt32BE(frame.length - 4);
  return frame;
}

describe('a session that breaks a rule ends with its name, and nobody else notices', () => {
  test.each<[string, Buffer, string]>([
    [
      'a request before the hello',
      encodeFrame([Kind.request, 70_000, 'broker', 'broker.snapshot', {}, 0]),
      'hello_expected',
    ],
    ['a hello without a name', encodeFrame([Kind.hello, { protocol: '1.0' }]), 'hello_expected'],
    ['an unknown major version', encodeFrame([Kind.hello, { protocol: '9.1', name: 'x' }]), 'protocol_version'],
    ['a large frame before the hello', Buffer.from([0, 1, 0, 0]), 'frame_too_large'],
    ['a length of 4 GiB', Buffer.from([0xff, 0xff, 0xff, 0xff]), 'frame_too_large'],
    ['an empty frame', Buffer.from([0, 0, 0, 0]), 'malformed_frame'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'frame_too_large'],
  ])('%s', async (_what, bytes, code) => {
    await using broker = await harness();
    const other = await broker.client('other');
    const said = await goodbye(broker.raw().write(bytes));
    expect(said.code).toBe(code);
    expect((await other.request('broker.health', {})).status).toBe('healthy');
  });

  test('both versions are named', async () => {
    await using broker = await harness();
    expect(await goodbye(broker.raw().send(Kind.hello, { protocol: '9.1', name: 'x' }))).toMatchObject({
      message: expect.stringMatching(/9\.1.*1\.0/),
      context: { client: '9.1', broker: '1.0' },
    });
  });

  test.each<[string, Buffer]>([
    ['an unknown kind', encodeFrame([77, 1])],
    ['a welcome from a client', encodeFrame([Kind.welcome, {}])],
    ['a small id', encodeFrame([Kind.request, 5, 'broker', 'broker.snapshot', {}, 0])],
    ['a request cut short', encodeFrame([Kind.request, 70_000, 'broker'])],
    ['no array', Buffer.from([0, 0, 0, 2, 0x81, 0x05])],
    ['a publish without a body', encodeFrame([Kind.publish, 'a.b'])],
    ['a topic that is no string', encodeFrame([Kind.publish, 7, 'x'])],
    ['a reply without a body', encodeFrame([Kind.reply, 70_000, 0])],
    ['a reply without a status', encodeFrame([Kind.reply, 70_000])],
    ['a reply whose status is a text', encodeFrame([Kind.reply, 70_000, 'ok', 1])],
    ['a reply with the status 2', encodeFrame([Kind.reply, 70_000, 2, 1])],
    ['a chunk without a body', encodeFrame([Kind.chunk, 70_000])],
    ['a request without params', encodeFrame([Kind.request, 70_000, 'broker', 'broker.health'])],
    ...(
      [
        [Kind.request, 70_000, 'broker', 'broker.health', {}, 0],
        [Kind.request, 70_000, 'broker', 'broker.health', {}],
        [Kind.reply, 70_000, 0, 'x'],
        [Kind.chunk, 70_000, 'x'],
        [Kind.cancel, 70_000],
        [Kind.ping, 1],
        [Kind.pong, 1],
        [Kind.goodbye, 'bye'],
      ] as const
    ).map((elements): [string, Buffer] => [`bytes left over after ${JSON.stringify(elements)}`, leftOver(elements)]),
    [
      'params that nest without end',
      Buffer.concat([
        Buffer.from([0, 0, 0, 255]),
        encodeFrame([Kind.request, 70_000, 'broker', 'x']).subarray(4),
        Buffer.alloc(255, 0x91),
      ]).subarray(0, 259),
    ],
  ])('%s after the hello', async (_what, bytes) => {
    await using broker = await harness();
    const raw = broker.raw().hello();
    await raw.kind(Kind.welcome);
    expect((await goodbye(raw.write(bytes))).code).toBe('malformed_frame');
  });

  test('silence instead of a hello', async () => {
    await using broker = await harness({ handshakeMs: 50 });
    expect((await goodbye(broker.raw())).code).toBe('hello_timeout');
  });

  test('silence afterwards: pinged, then dropped; a pong keeps it', async () => {
    await using broker = await harness({ pingMs: 40, idleMs: 120 });
    const silent = broker.raw().hello();
    const alive = broker.raw().hello();
    let pings = 0;
    void (async () => {
      for (;;) {
        const [, number] = await alive.kind(Kind.ping);
        pings++;
        alive.send(Kind.pong, number);
      }
    })().catch(() => {});
    expect((await goodbye(silent)).code).toBe('idle_timeout');
    await until(() => pings >= 5, 'five pings');
    expect(alive.closed).toBe(false);
  });

  test('beyond the connection limit: busy, and room again later', async () => {
    await using broker = await harness({ connectionsMax: 2 });
    const first = broker.raw().hello();
    await first.kind(Kind.welcome);
    await broker.raw().hello().kind(Kind.welcome);
    expect(await goodbye(broker.raw().hello())).toMatchObject({ code: 'busy', context: { limit: 2 } });
    first.stream.destroy();
    await until(() => broker.running.broker.sessions.size === 1, 'the first is gone');
    await broker.raw().hello().kind(Kind.welcome);
  });
});

describe('a request that is refused leaves the session open', () => {
  const ask = async (method: string, params: unknown, role = 'operator') => {
    await using broker = await harness();
    const raw = broker.raw().hello(role).send(Kind.request, 70_000, 'broker', method, params, 1000);
    const [, id, status, body] = await raw.kind(Kind.reply);
    raw.send(Kind.ping, 5);
    expect(await raw.kind(Kind.pong)).toEqual([Kind.pong, 5]);
    expect([id, status]).toEqual([70_000, 1]);
    return body as { code: string; message: string };
  };
  test('unknown method', async () => expect(await ask('no.such', {})).toMatchObject({ code: 'unsupported_operation' }));
  test('a method named like a property of every object', async () =>
    expect((await ask('constructor', {})).code).toBe('unsupported_operation'));
  test('params that do not fit', async () =>
    expect(await ask('task.submit', { operation: 'Bad Name', priority: 999 })).toMatchObject({
      code: 'invalid_params',
      message: expect.stringMatching(/operation.*priority/),
    }));
  test('an unknown field', async () =>
    expect((await ask('task.submit', { operation: 'a', run_att: 5 })).message).toMatch(/run_att/));
  test('params that are no map', async () => expect((await ask('task.submit', [1])).code).toBe('invalid_params'));
  test('a role that may not', async () =>
    expect(await ask('task.submit', { operation: 'a' }, 'observer')).toMatchObject({
      code: 'not_allowed',
      message: expect.stringMatching(/observer/),
    }));
  test('an operator is no collector', async () =>
    expect((await ask('collector.heartbeat', {})).code).toBe('not_allowed'));
  test('a collector that has not registered', async () =>
    expect((await ask('collector.heartbeat', {}, 'collector')).code).toBe('not_registered'));
  test('a task that is not there', async () =>
    expect((await ask('task.show', { id: '0197a8e2-5c1e-7d43-9b1f-2f6f6d1c9a10' })).code).toBe('not_found'));
  test('an id that is no UUIDv7', async () =>
    expect((await ask('task.submit', { operation: 'a', id: 'mine' })).message).toMatch(/UUIDv7/));
  test('a bad pattern', async () =>
    expect(await ask('topic.subscribe', { patterns: ['events.#.x'] })).toMatchObject({
      code: 'bad_pattern',
      message: expect.stringMatching(/last segment/),
    }));
});

test('the time of an id is no reason to refuse a submit', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  for (const id of ['ffffffff-ffff-7d43-9b1f-2f6f6d1c9a10', '00000000-0000-7d43-9b1f-2f6f6d1c9a10']) {
    expect(await client.submit({ operation: 'a', id })).toMatchObject({ id, state: 'pending', duplicate: false });
    expect(await client.submit({ operation: 'a', id })).toMatchObject({ id, duplicate: true });
  }
});

test('a payload over the limit is refused', async () => {
  await using broker = await harness({ payloadBytesMax: 1000 });
  const client = await broker.client('c');
  await expect(client.submit({ operation: 'a', payload: 'x'.repeat(1001) })).rejects.toMatchObject({
    code: 'payload_too_large',
  });
  expect(await client.submit({ operation: 'a', payload: 'x'.repeat(990) })).toMatchObject({ state: 'pending' });
});

test('a batch: one outcome each, in order, one commit', async () => {
  await using broker = await harness({ pendingMax: 3 });
  const client = await broker.client('c');
  const before = broker.running.broker.commits.count;
  const outcomes = await client.submitBatch(
    ['a', 'b', 'c', 'd'].map((operation) => ({ operation, payload: operation })),
  );
  expect(outcomes.map((one) => ('state' in one ? one.state : one.code))).toEqual([
    'pending',
    'pending',
    'pending',
    'queue_full',
  ]);
  expect(broker.running.broker.commits.count - before).toBe(1);
  const page = await client.request('task.list', { limit: 2 });
  expect(page.tasks.map(({ operation }) => operation)).toEqual(['c', 'b']);
  expect(
    (await client.request('task.list', { limit: 2, cursor: page.cursor! })).tasks.map(({ operation }) => operation),
  ).toEqual(['a']);
  const first = outcomes[0]!;
  expect('id' in first && (await client.request('task.show', { id: first.id, include: ['payload'] })).payload).toBe(
    'a',
  );
});

test('a key that stands twice cannot make the broker mistake one list for another', async () => {
  await using broker = await harness();
  const raw = broker.raw().hello();
  const tasks = (...operations: string[]) =>
    encodeFrame([Kind.ping, operations.map((operation) => ({ operation, payload: operation }))]).subarray(6);
  const key = Buffer.concat([Buffer.from([0xa5]), Buffer.from('tasks')]);
  const params = Buffer.concat([Buffer.from([0x82]), key, tasks('one'), key, tasks('two', 'three')]);
  const head = encodeFrame([Kind.request, 70_000, 'broker', 'task.submit_batch']).subarray(5);
  const frame = Buffer.concat([Buffer.alloc(4), Buffer.from([0x96]), head, params, Buffer.from([0])]);
  frame.writeUInt32BE(frame.length - 4);
  const [, , status, reply] = await raw.write(frame).kind(Kind.reply);
  expect(status).toBe(0);
  const { outcomes } = reply as { outcomes: { id: string }[] };
  const client = await broker.client('c');
  const kept = await Promise.all(outcomes.map(({ id }) => client.request('task.show', { id, include: ['payload'] })));
  expect(kept.map(({ operation, payload }) => [operation, payload])).toEqual([
    ['two', 'two'],
    ['three', 'three'],
  ]);
});

test('payloads and results keep what JavaScript would not', async () => {
  await using broker = await harness();
  const raw = broker.raw().hello();
  // 1.0 as a float, and an integer beyond 2^53
  const params = Buffer.concat([
    Buffer.from([0x82, 0xa9]),
    Buffer.from('operation'),
    Buffer.from([0xa1, 0x61, 0xa7]),
    Buffer.from('payload'),
    Buffer.from([0x92, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1]),
  ]);
  const head = encodeFrame([Kind.request, 70_000, 'broker', 'task.submit']).subarray(4);
  const body = Buffer.concat([Buffer.from([0x96]), head.subarray(1), params, Buffer.from([0])]);
  const frame = Buffer.concat([Buffer.alloc(4), body]);
  frame.writeUInt32BE(body.length);
  raw.write(frame);
  const [, , , reply] = await raw.kind(Kind.reply);
  let seen = Buffer.alloc(0);
  raw.stream.on('data', (chunk: Buffer) => (seen = Buffer.concat([seen, chunk])));
  raw.send(Kind.request, 70_001, 'broker', 'task.show', { id: (reply as { id: string }).id, include: ['payload'] }, 0);
  await raw.kind(Kind.reply);
  expect(seen.includes(params.subarray(-19))).toBe(true);
});

test('work is counted, not timed: a thousand submits and their whole lives take few commits and few writes', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  const collector = await broker.client('w', 'collector');
  await collector.request('collector.register', {
    collector_id: 'w',
    collector_type: 't',
    operations: [{ name: 'work' }],
    max_concurrent_tasks: 100,
  });
  const answers: Promise<unknown>[] = [];
  let done = 0;
  collector.onMessage(({ body }) => {
    const { task_id, token } = body as { task_id: string; token: string };
    answers.push(collector.request('task.complete', { task_id, token }).then(() => done++));
  });
  const inner = broker.running.broker;
  const before = inner.commits.count;
  await Promise.all(Array.from({ length: 1000 }, () => client.submit({ operation: 'work' })));
  await until(() => done === 1000, 'all done');
  await Promise.all(answers);
  const writes = [...inner.sessions].reduce((sum, { peer }) => sum + peer.link.writes, 0);
  expect(inner.commits.count - before).toBeLessThan(100);
  expect(writes).toBeLessThan(200);
  expect((await client.request('broker.snapshot', {})).in_progress).toBe(0);
});

test('a collector whose answer is no value does not leave the broker waiting', async () => {
  await using broker = await harness();
  const raw = broker.raw().hello('collector');
  raw.send(
    Kind.request,
    70_000,
    'broker',
    'collector.register',
    { collector_id: 'liar', collector_type: 't', operations: [{ name: 'x' }] },
    0,
  );
  await raw.kind(Kind.reply);
  const call = broker.running.broker.call('liar', 'shutdown', {}, 60_000);
  const [, id] = await raw.kind(Kind.request);
  const reply = encodeFrame([Kind.reply, id, 0, 'x']);
  reply[reply.length - 1] = 0xc1;
  reply[reply.length - 2] = 0xc1;
  raw.write(reply);
  await expect(call).rejects.toMatchObject({ code: 'malformed_body' });
});

test('a call whose answer has no body ends as if the collector had gone, and its session ends by name', async () => {
  await using broker = await harness();
  const [raw, caller] = [await broker.session('collector'), await broker.session()];
  await raw.register('w');
  const asked = caller.ask('x', {}, 'w');
  const [, id] = await raw.kind(Kind.request);
  raw.send(Kind.reply, id, 0);
  expect((await raw.goodbye()).code).toBe('malformed_frame');
  expect((await caller.refusal(asked)).code).toBe('collector_gone');
});

test('elements that a later version may add to a request or a reply are ignored', async () => {
  await using broker = await harness();
  const [raw, caller] = [await broker.session('collector'), await broker.session()];
  await raw.register('w');
  caller.send(Kind.request, 70_000, 'w', 'x', {}, 0, { later: [1] }, 'more');
  const [, id, ...rest] = await raw.kind(Kind.request);
  expect(rest).toEqual(['w', 'x', {}, 0, { later: [1] }, 'more']);
  raw.send(Kind.reply, id, 0, 'done', 'more');
  expect(await caller.kind(Kind.reply)).toEqual([Kind.reply, 70_000, 0, 'done', 'more']);
});

test.each([null, 'no', 5, [], {}, { code: 5 }])('a collector that refuses with %j does not, either', async (body) => {
  await using broker = await harness();
  const raw = await broker.session('collector');
  await raw.register('liar');
  const call = broker.running.broker.call('liar', 'shutdown', {}, 60_000);
  const [, id] = await raw.kind(Kind.request);
  raw.send(Kind.reply, id, 1, body);
  await expect(call).rejects.toMatchObject({ code: 'malformed_body' });
});

test('an id is in use until its request is answered, whatever it asks: a call, a wait, a read, a task', async () => {
  const store = new MemoryStore();
  const gate = Promise.withResolvers<void>();
  await using broker = await harness({}, { store });
  const [raw, collector] = [await broker.session(), await broker.session('collector')];
  await collector.register('w');
  const { id: task } = await raw.request('task.submit', { operation: 'nobody' });
  const [commit, list] = [store.commit.bind(store), store.list.bind(store)];
  store.commit = (records) => gate.promise.then(() => commit(records));
  store.list = (filter) => gate.promise.then(() => list(filter));
  const asks: Record<string, readonly [target: string, method: string, params: unknown]> = {
    call: ['w', 'x', {}],
    wait: ['broker', 'task.wait', { id: task }],
    read: ['broker', 'task.list', {}],
    task: ['broker', 'task.submit', { operation: 'a' }],
  };
  const ask = (id: number, what: string) => raw.send(Kind.request, id, ...asks[what]!, 60_000);
  const names = Object.keys(asks);
  for (const [at, first] of names.entries()) {
    const id = 80_000 + at;
    ask(id, first);
    for (const second of [...names, ...names]) {
      ask(id, second);
      expect(await raw.refusal(id), `${first}, then ${second}`).toMatchObject({
        code: 'invalid_params',
        message: expect.stringMatching(/is in use by/),
        context: { id },
      });
    }
  }
  gate.resolve();
  const [, call] = await collector.kind(Kind.request);
  collector.send(Kind.reply, call, 0, 'done');
  await raw.request('task.cancel', { id: task });
  expect(await raw.reply(80_000)).toBe('done');
  expect(await raw.reply(80_001)).toMatchObject({ state: 'cancelled' });
  for (const id of [80_002, 80_003]) await raw.reply(id);
  // Answered, they are free again.
  for (const id of [80_000, 80_001, 80_002, 80_003]) {
    ask(id, 'task');
    expect(await raw.reply(id)).toMatchObject({ state: 'pending' });
  }
  expect(collector.frames).toEqual([]);
});
