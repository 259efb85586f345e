/** Every fault of a call, over a Unix socket, and what becomes of the other end. */
import { expect, test } from 'vitest';
import { defineCollector } from '../../src/collector/define.ts';
import { type CollectorMethod, collectorMethods } from '../../src/protocol/collector-method.ts';
import { encodeFrame, Kind } from '../../src/protocol/frame.ts';
import { type Harness, harness, type Raw, until } from '../broker/harness.ts';
import { bystander } from './bystander.ts';
import { speakFault } from './spoken.ts';

interface Scene extends AsyncDisposable {
  readonly broker: Harness;
  readonly callee: Raw;
  readonly caller: Raw;
  readonly unharmed: () => Promise<void>;
}

async function scene(limits: Parameters<typeof harness>[0] = {}): Promise<Scene> {
  const broker = await harness(limits, { socket: true });
  const { unharmed } = await bystander(broker);
  const callee = await broker.session('collector');
  await callee.register('w');
  const caller = await broker.session();
  return { broker, callee, caller, unharmed, [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose]() };
}

const fault = (code: string, message: RegExp) => ({ code, message: expect.stringMatching(message) });
const callOf = (raw: Raw) => raw.kind(Kind.request);

test('ok: the answer comes back under the id of the caller', async () => {
  await using at = await scene();
  const id = at.caller.ask('anything', { deep: [1] }, 'w');
  const [, brokerId, target, method, params, timeoutMs] = await callOf(at.callee);
  expect([target, method, params, timeoutMs]).toEqual(['w', 'anything', { deep: [1] }, 0]);
  at.callee.send(Kind.chunk, brokerId, 'part').send(Kind.reply, brokerId, 0, 'whole');
  expect(await at.caller.kind(Kind.chunk)).toEqual([Kind.chunk, id, 'part']);
  expect(await at.caller.reply(id)).toBe('whole');
});

test('not_found', async () => {
  await using at = await scene();
  expect(await at.caller.refused('x', {}, 'nobody')).toMatchObject(fault('not_found', /See: deye collectors ls/));
  await at.unharmed();
});

test('not_allowed', async () => {
  await using at = await scene();
  const observer = await at.broker.session('observer');
  expect(await observer.refused('shutdown', {}, 'w')).toMatchObject(fault('not_allowed', /role observer/));
  await observer.pong();
  await at.unharmed();
});

test('no_capable_collector', async () => {
  await using at = await scene();
  const refusal = await at.caller.refused('x', {}, 'any:dream');
  expect(refusal).toMatchObject(fault('no_capable_collector', /No healthy collector offers dream/));
  await at.unharmed();
});

test('invalid_params: the id is in use by a call in flight, which goes on', async () => {
  await using at = await scene();
  const id = at.caller.ask('x', {}, 'w');
  at.caller.send(Kind.request, id, 'w', 'y', {}, 0);
  expect(await at.caller.refusal(id)).toMatchObject(fault('invalid_params', /in use by a call in flight/));
  const [, brokerId] = await callOf(at.callee);
  at.callee.send(Kind.reply, brokerId, 0, 'x');
  expect(await at.caller.reply(id)).toBe('x');
});

test('too_many_calls: of one session, and then others are served', async () => {
  await using at = await scene({ callsPerSessionMax: 2 });
  at.caller.ask('x', {}, 'w');
  at.caller.ask('x', {}, 'w');
  const refusal = await at.caller.refused('x', {}, 'w');
  expect(refusal).toMatchObject({ ...fault('too_many_calls', /2 calls of this session/), context: { limit: 2 } });
  const other = await at.broker.session();
  const id = other.ask('z', {}, 'w');
  const [, brokerId] = await at.callee.next(([kind, , , method]) => kind === Kind.request && method === 'z');
  at.callee.send(Kind.reply, brokerId, 0, 'fine');
  expect(await other.reply(id)).toBe('fine');
});

test('collector_gone: the call fails now, not at its timeout', async () => {
  await using at = await scene();
  const id = at.caller.ask('x', {}, 'w', 60_000);
  await callOf(at.callee);
  at.callee.stream.destroy();
  expect(await at.caller.refusal(id)).toMatchObject(fault('collector_gone', /w went away/));
  await at.unharmed();
});

test('cancelled: the callee gets a cancel with its own id', async () => {
  await using at = await scene();
  const id = at.caller.ask('x', {}, 'w', 60_000);
  const [, brokerId] = await callOf(at.callee);
  at.caller.send(Kind.cancel, id);
  expect(await at.caller.refusal(id)).toMatchObject(fault('cancelled', /call to w was cancelled/));
  expect(await at.callee.kind(Kind.cancel)).toEqual([Kind.cancel, brokerId]);
  at.callee.send(Kind.reply, brokerId, 0, 'too late');
  await at.callee.pong();
  await at.caller.pong();
  expect(at.caller.frames).toEqual([]);
});

test('deadline_exceeded: the callee gets a cancel', async () => {
  await using at = await scene();
  const refusal = await at.caller.refused('x', {}, 'w', 20);
  expect(refusal).toMatchObject(fault('deadline_exceeded', /w did not answer before the timeout/));
  const [, brokerId] = await callOf(at.callee);
  expect(await at.callee.kind(Kind.cancel)).toEqual([Kind.cancel, brokerId]);
});

test('caller_too_slow: a streamed answer that is not read ends the call, and the callee gets a cancel', async () => {
  await using at = await scene({ outboundBytesMax: 100_000, stallRecentMs: 0 });
  const id = at.caller.ask('x', {}, 'w', 60_000);
  const [, brokerId] = await callOf(at.callee);
  at.caller.stream.pause();
  const part = 'x'.repeat(20_000);
  let cancelled = false;
  void at.callee.kind(Kind.cancel).then(() => {
    cancelled = true;
  });
  await until(() => {
    if (!cancelled) at.callee.send(Kind.chunk, brokerId, part);
    return cancelled;
  }, 'the callee was told');
  at.caller.stream.resume();
  expect(await at.caller.refusal(id)).toMatchObject(fault('caller_too_slow', /the call is over/));
  await at.unharmed();
});

test('what a callee refuses with is passed on as it is, also codes of its own', async () => {
  await using at = await scene();
  for (const code of ['handler_failed', 'my_own']) {
    const id = at.caller.ask('x', {}, 'w');
    const [, brokerId] = await callOf(at.callee);
    const refusal = { code, message: 'The handler failed: no disk.', category: 'internal', retry: false, context: {} };
    at.callee.send(Kind.reply, brokerId, 1, refusal);
    expect(await at.caller.refusal(id)).toEqual(refusal);
  }
  speakFault('handler_failed');
});

/** A frame that ends with a map whose one value is byte 0xc1, which is never a value: the broker passes it on unseen. */
function undecodable(...elements: unknown[]): Buffer {
  const frame = encodeFrame([...elements, { a: null }]);
  frame[frame.length - 1] = 0xc1;
  return frame;
}

test.each([
  ['answer', (id: unknown) => undecodable(Kind.reply, id, 0)],
  ['part of an answer', (id: unknown) => undecodable(Kind.chunk, id)],
  ['refusal', (id: unknown) => undecodable(Kind.reply, id, 1)],
])('malformed_body: an %s that is no value fails its call, and nothing else', async (_what, answer) => {
  await using at = await scene();
  const caller = await at.broker.client('caller');
  const call = caller.call('w', 'x');
  const [, brokerId] = await callOf(at.callee);
  const other = caller.call('w', 'y');
  const [, otherId] = await callOf(at.callee);
  at.callee.write(answer(brokerId));
  await expect(call).rejects.toMatchObject(fault('malformed_body', /body cannot be decoded: byte 0xc1/));
  at.callee.send(Kind.reply, otherId, 0, 'fine');
  expect(await other).toBe('fine');
  speakFault('malformed_body');
  await at.unharmed();
});

test('malformed_body: a message that is no value is told to its subscriber, which goes on', async () => {
  await using at = await scene();
  const subscriber = await at.broker.client('subscriber');
  const refused: unknown[] = [];
  subscriber.onRefused = (refusal) => refused.push(refusal);
  const messages = await subscriber.subscribe('a');
  at.caller.write(undecodable(Kind.publish, 'a')).send(Kind.publish, 'a', 'next');
  expect((await messages.next()).value?.body).toBe('next');
  expect(refused).toMatchObject([fault('malformed_body', /body cannot be decoded/)]);
  await at.unharmed();
});

test('malformed_body: an answer to the broker that is no value', async () => {
  await using at = await scene();
  const call = at.broker.running.broker.call('w', 'shutdown', {}, 60_000);
  const [, id] = await callOf(at.callee);
  at.callee.write(undecodable(Kind.reply, id, 0));
  await expect(call).rejects.toMatchObject(fault('malformed_body', /The answer is not a value/));
  await at.unharmed();
});

test('the methods of every collector are answered as their rows say (the checker looks)', async () => {
  await using at = await scene();
  const collector = defineCollector({
    type: 't',
    eventDomains: ['process'],
    capabilities: ['process'],
    operations: { own: () => 'done' },
    health: () => ({ metrics: { depth: 3 } }),
    configure: () => {},
  });
  const ready = Promise.withResolvers<void>();
  const transport = () => at.broker.running.open();
  const ended = collector.run({ transport, id: 'c', signals: false, onReady: () => ready.resolve() });
  await ready.promise;
  const params: Partial<Record<CollectorMethod, unknown>> = { update_config: { changes: { depth: 4 } } };
  for (const method of Object.keys(collectorMethods) as CollectorMethod[])
    await at.caller.reply(at.caller.ask(method, params[method] ?? {}, 'c'));
  await ended; // the last of them is shutdown
  await at.unharmed();
});
