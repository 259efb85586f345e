/**
 * Every fault of every method, over a Unix socket: its code, a message that says what is wrong and what to do (which
 * `Conversation` checks of each), the session goes on, nothing of others is lost.
 */
import { expect, test } from 'vitest';
import type { Method } from '../../src/protocol/message.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { uuidTimeMs } from '../../src/protocol/uuid-time.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { type Harness, type HarnessOptions, harness, type Raw } from '../broker/harness.ts';
import { moved, submitted } from '../conformance/records.ts';
import { bystander } from './bystander.ts';

type Limits = Parameters<typeof harness>[0];
type Role = Parameters<Harness['session']>[0];

interface Scene {
  readonly broker: Harness;
  readonly raw: Raw;
}

/** Plays the scene, whose last request is refused; the session answers afterwards, and the bystander is unharmed. */
async function refuses(
  [code, message]: readonly [string, RegExp],
  scene: (scene: Scene) => Promise<unknown>,
  { limits, role, ...options }: HarnessOptions & { limits?: Limits; role?: Role } = {},
): Promise<void> {
  await using broker = await harness(limits, { socket: true, ...options });
  const other = await bystander(broker);
  const raw = await broker.session(role);
  expect(await scene({ broker, raw })).toMatchObject({ code, message: expect.stringMatching(message) });
  await raw.pong();
  await other.unharmed();
}

const nobody = uuidv7();

test.each<[method: Method, code: string, message: RegExp, params: unknown, role?: Role]>([
  ['topic.subscribe', 'bad_pattern', /must be the last segment/, { patterns: ['ok', 'events.#.x'] }],
  ['topic.subscribe', 'invalid_params', /patterns/, { patterns: [] }],
  ['broker.shutdown', 'not_allowed', /operator may/, {}, 'observer'],
  ['task.submit', 'not_allowed', /operator or collector may/, { operation: 'a' }, 'observer'],
  ['task.submit', 'invalid_params', /operation.*priority: must be critical, high/, { operation: 'A', priority: 999 }],
  ['task.submit', 'invalid_params', /colour/, { operation: 'a', colour: 'red' }],
  ['task.list', 'invalid_params', /was not given by this broker/, { cursor: 'x' }],
  ['task.show', 'not_found', /no task .*See: deye task ls/, { id: nobody }],
  ['task.wait', 'not_found', /no task .*See: deye task ls/, { id: nobody }],
  ['task.cancel', 'not_found', /[Nn]o task .*See: deye task ls/, { id: nobody }],
  ['task.complete', 'stale_lease', /Drop the attempt/, { task_id: nobody, token: 'x' }, 'collector'],
  [
    'task.fail',
    'stale_lease',
    /Drop the attempt/,
    { task_id: nobody, token: 'x', error: { code: 'x', message: '' } },
    'collector',
  ],
  ['collector.heartbeat', 'not_registered', /Send collector.register first/, {}, 'collector'],
  ['collector.deregister', 'not_registered', /Send collector.register first/, {}, 'collector'],
  ...['broker', 'any'].map(
    (id) =>
      [
        'collector.register',
        'invalid_params',
        /collector_id: must be another id than the call targets broker and any/,
        { collector_id: id, collector_type: 't', operations: [{ name: 'a' }] },
        'collector',
      ] as [Method, string, RegExp, unknown, Role],
  ),
  ['collector.show', 'not_found', /See: deye collectors ls/, { collector_id: 'nobody' }],
  ['collector.start', 'not_found', /See: deye collectors ls/, { collector_id: 'nobody' }],
  ['collector.stop', 'not_found', /See: deye collectors ls/, { collector_id: 'nobody' }],
  ['routing.set', 'invalid_params', /There are: .*round_robin/, { strategy: 'magic' }],
])('%s is refused with %s: %s', async (method, code, message, params, role) => {
  await refuses([code, message], ({ raw }) => raw.refused(method, params), { role });
});

test('unsupported_operation: a method that is not there, with the one that is meant', () =>
  refuses(['unsupported_operation', /Did you mean task.submit\?/], ({ raw }) => raw.refused('submit', {})));

test('topic.subscribe: too_many_subscriptions', () =>
  refuses(
    ['too_many_subscriptions', /may hold 2 patterns; this one would hold 3/],
    async ({ raw }) => {
      await raw.request('topic.subscribe', { patterns: ['a', 'b'] });
      return raw.refused('topic.subscribe', { patterns: ['a', 'c'] });
    },
    { limits: { subscriptionsMax: 2 } },
  ));

test('task.submit: queue_full', () =>
  refuses(
    ['queue_full', /2 tasks wait already; the limit is 2/],
    async ({ raw }) => {
      await raw.request('task.submit', { operation: 'a' });
      return raw.refused('task.submit', { operation: 'a' });
    },
    { limits: { pendingMax: 2 } },
  ));

test('task.submit: payload_too_large', () =>
  refuses(
    ['payload_too_large', /1003 bytes; the limit is 1000/],
    ({ raw }) => raw.refused('task.submit', { operation: 'a', payload: 'x'.repeat(1000) }),
    { limits: { payloadBytesMax: 1000 } },
  ));

test('task.submit: too_many_operations', () =>
  refuses(
    ['too_many_operations', /Put what varies into the payload/],
    ({ raw }) => raw.refused('task.submit', { operation: 'one-more' }),
    { limits: { operationsMax: 1 } },
  ));

test('task.submit: id_expired, for an id as old as one that is deleted; known and newer ones are taken', async () => {
  const [beforeMs, known] = [Date.now() - 60_000, uuidv7(1000)];
  const store = new MemoryStore();
  await store.commit([
    submitted(1, known),
    moved(1, 'dead_letter', { atMs: Date.now() }),
    { kind: 'expired', beforeMs },
  ]);
  await using broker = await harness({}, { socket: true, store });
  const other = await bystander(broker);
  const raw = await broker.session();
  const id = uuidv7(beforeMs - 5001);
  expect(await raw.refused('task.submit', { operation: 'a', id })).toMatchObject({
    code: 'id_expired',
    message: expect.stringMatching(
      /was made 65 s ago, and one made 5 s later .* cannot be told\. Submit it with a new id/,
    ),
    context: { id, id_ms: beforeMs - 5001, expired_before_ms: beforeMs },
  });
  const ids = [id, known, uuidv7(beforeMs)];
  const tasks = [...ids.map((one) => ({ operation: 'a', id: one })), { operation: 'a' }];
  expect(await raw.request('task.submit_batch', { tasks })).toMatchObject({
    outcomes: [
      { code: 'id_expired' },
      { state: 'dead_letter', duplicate: true },
      { state: 'pending' },
      { state: 'pending' },
    ],
  });
  await other.unharmed();
});

test('task.submit: id_expired after the clock was set back; ids that the broker makes are newer all the same', async () => {
  const beforeMs = Date.now() + 8 * 86_400_000;
  const store = new MemoryStore();
  await store.commit([{ kind: 'expired', beforeMs }]);
  await using broker = await harness({}, { socket: true, store });
  const raw = await broker.session();
  const refusal = await raw.refused('task.submit', { operation: 'a', id: uuidv7() });
  expect(refusal).toMatchObject({ code: 'id_expired', message: expect.stringMatching(/set the clock of its maker/) });
  const ahead = await raw.refused('task.submit', { operation: 'a', id: uuidv7(beforeMs - 1) });
  expect(ahead).toMatchObject({
    message: expect.stringMatching(/is ahead of the broker's clock, and one made 0 s later/),
  });
  const { id } = await raw.request('task.submit', { operation: 'a' });
  expect(uuidTimeMs(id)).toBe(beforeMs);
  const { outcomes } = await raw.request('task.submit_batch', { tasks: [{ operation: 'a' }] });
  expect(outcomes).toMatchObject([{ state: 'pending' }]);
});

test('task.submit: broker_stopping; a batch has it in its outcomes', async () => {
  await using broker = await harness({}, { socket: true });
  const other = await bystander(broker);
  const raw = await broker.session();
  broker.running.broker.stopAccepting();
  expect(await raw.refused('task.submit', { operation: 'a' })).toMatchObject({
    code: 'broker_stopping',
    message: expect.stringMatching(/accepts no new tasks/),
    context: { retry_after_ms: 1000 },
  });
  expect(await raw.request('task.submit_batch', { tasks: [{ operation: 'a' }] })).toMatchObject({
    outcomes: [{ code: 'broker_stopping' }],
  });
  await other.unharmed();
});

test('task.wait: too_many_waits', () =>
  refuses(
    ['too_many_waits', /has 1 waits open, the limit/],
    async ({ raw }) => {
      const { id } = await raw.request('task.submit', { operation: 'a' });
      raw.ask('task.wait', { id }, 'broker', 60_000);
      return raw.refused('task.wait', { id });
    },
    { limits: { waitsMax: 1 } },
  ));

test('task.wait: deadline_exceeded', () =>
  refuses(['deadline_exceeded', /still pending.*wait again/], async ({ raw }) => {
    const { id } = await raw.request('task.submit', { operation: 'a' });
    return raw.refused('task.wait', { id }, 'broker', 10);
  }));

test('task.wait: cancelled; and an id that is in use is refused', () =>
  refuses(['cancelled', /wait for task .* was cancelled/], async ({ raw }) => {
    const { id } = await raw.request('task.submit', { operation: 'a' });
    const wait = raw.ask('task.wait', { id }, 'broker', 60_000);
    raw.send(5, wait, 'broker', 'task.wait', { id }, 0);
    expect(await raw.refusal(wait)).toMatchObject({ code: 'invalid_params', message: expect.stringMatching(/in use/) });
    raw.send(8, wait);
    return raw.refusal(wait);
  }));

test('task.cancel: wrong_state, of a task that has ended and of one that is in progress', () =>
  refuses(['wrong_state', /in progress at w; only a waiting task/], async ({ broker, raw }) => {
    const { id } = await raw.request('task.submit', { operation: 'a' });
    expect(await raw.request('task.cancel', { id })).toEqual({ id, state: 'cancelled', sync: 'none' });
    expect(await raw.refused('task.cancel', { id })).toMatchObject({
      code: 'wrong_state',
      message: expect.stringMatching(/already cancelled/),
    });
    await (await broker.session('collector')).register('w');
    const running = await raw.request('task.submit', { operation: 'work' });
    expect(running).toMatchObject({ state: 'in_progress', collector_id: 'w' });
    return raw.refused('task.cancel', { id: running.id });
  }));

test('task.complete: payload_too_large, and the attempt can still be completed', () =>
  refuses(
    ['payload_too_large', /The result is 103 bytes; the limit is 100/],
    async ({ broker, raw }) => {
      await raw.register('w');
      await broker.session().then((submitter) => submitter.request('task.submit', { operation: 'work' }));
      const { task_id, token } = (await raw.message()) as { task_id: string; token: string };
      const refusal = await raw.refused('task.complete', { task_id, token, result: 'x'.repeat(101) });
      expect(await raw.request('task.complete', { task_id, token, result: 'small' })).toEqual({ sync: 'none' });
      expect(await raw.refused('task.complete', { task_id, token })).toMatchObject({
        message: expect.stringMatching(/it is completed/),
      });
      return refusal;
    },
    { limits: { payloadBytesMax: 100 }, role: 'collector' },
  ));

test('collector.register: id_taken, also for a second id in one session', () =>
  refuses(
    ['id_taken', /held by another live session.*Choose another id/],
    async ({ broker, raw }) => {
      const other = await broker.session('collector');
      await other.register('w');
      expect(await other.refused('collector.register', registration('x'))).toMatchObject({
        code: 'id_taken',
        message: expect.stringMatching(/One session is one collector/),
      });
      return raw.refused('collector.register', registration('w'));
    },
    { role: 'collector' },
  ));

const registration = (id: string) => ({ collector_id: id, collector_type: 't', operations: [{ name: 'work' }] });

test.each(['collector.start', 'collector.stop'])(
  '%s: wrong_state, of a collector that the broker did not start',
  (method) =>
    refuses(['wrong_state', /Its own process decides/], async ({ broker, raw }) => {
      await (await broker.session('collector')).register('w');
      return raw.refused(method, { collector_id: 'w' });
    }),
);

test('routing.set: too_many_operations', () =>
  refuses(
    ['too_many_operations', /1 operations have tasks or settings already/],
    ({ raw }) => raw.refused('routing.set', { strategy: 'round_robin', operation: 'one-more' }),
    { limits: { operationsMax: 1 } },
  ));

test('reply_too_large: each body of a task can be shown, both together do not fit a frame', () =>
  refuses(
    ['reply_too_large', /a frame holds 20000. Ask for less/],
    async ({ broker, raw }) => {
      await raw.register('w');
      const body = 'x'.repeat(12_000);
      const submitter = await broker.session();
      const { id } = await submitter.request('task.submit', { operation: 'work', payload: body });
      const { token } = (await raw.message()) as { token: string };
      await raw.request('task.complete', { task_id: id, token, result: body });
      for (const name of ['payload', 'result'] as const)
        expect((await raw.request('task.show', { id, include: [name] }))[name]).toBe(body);
      return raw.refused('task.show', { id, include: ['payload', 'result'] });
    },
    { limits: { frameBytesMax: 20_000 }, role: 'collector' },
  ));

test('store_failed: the store could not be read', async () => {
  const store = new MemoryStore();
  const show = store.show.bind(store);
  store.show = (id) => (id === nobody ? Promise.reject(new Error('disk on fire')) : show(id));
  await refuses(['store_failed', /disk on fire/], ({ raw }) => raw.refused('task.show', { id: nobody }), { store });
});

test.each<[string, RegExp, topic: string, role?: Role]>([
  ['bad_topic', /character outside/, 'Bad.Topic'],
  ['bad_topic', /reserved root "system"/, 'system.x'],
  ['not_allowed', /the broker alone hands out tasks/, 'control.tasks.t.w'],
  ['not_allowed', /observer may not publish on my.topic/, 'my.topic', 'observer'],
])('a publish is refused with %s: %s', async (code, message, topic, role) => {
  await refuses(
    [code, message],
    async ({ raw }) => {
      raw.send(3, 7, topic, 'x');
      const [, sequence, subscribers, refusal] = await raw.kind(4);
      expect([sequence, subscribers]).toEqual([7, 0]);
      raw.send(2, topic, 'x');
      expect((await raw.kind(4)).slice(1, 3)).toEqual([0, 0]);
      return refusal;
    },
    { role },
  );
});
