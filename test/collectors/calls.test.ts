import { expect, test, vi } from 'vitest';
import { type CollectorMethod, collectorMethods } from '../../src/protocol/collector-method.ts';
import { Hosted } from './hosted.ts';

test('every method answers with the reply of its row', async () => {
  await using hosted = new Hosted({
    eventDomains: ['process'],
    capabilities: ['process'],
    health: () => ({ metrics: { depth: 3 } }),
    limitation: () => 'no root',
    configure: () => {},
  });
  const peer = await hosted.registered();
  const params: Partial<Record<CollectorMethod, unknown>> = { update_config: { changes: {} } };
  for (const method of Object.keys(collectorMethods) as CollectorMethod[])
    expect(await hosted.call(peer, method, params[method]), method).toBeDefined();
  await peer.request('collector.deregister');
});

test.each<[CollectorMethod, unknown, RegExp]>([
  ['health_check', { deep: true }, /^health_check: deep: there is no such field$/],
  ['get_capabilities', [], /^get_capabilities: params: .*expected object/],
  ['start_collection', { startup_timeout_ms: 'soon' }, /^start_collection: startup_timeout_ms: .*expected number/],
  ['start_collection', { config_overrides: 1 }, /^start_collection: config_overrides: .*expected record/],
  ['stop_collection', { reason: 'x'.repeat(600) }, /^stop_collection: reason: must be at most 512 bytes/],
  ['update_config', {}, /^update_config: changes: /],
  ['update_config', { changes: {}, validate_onyl: true }, /^update_config: validate_onyl: there is no such field/],
  ['shutdown', { type: 'nonsense' }, /^shutdown: type: .*graceful.*immediate.*emergency/],
  ['shutdown', { graceful_timeout_ms: -1 }, /^shutdown: graceful_timeout_ms: /],
])('%s refuses %j by field and rule', async (method, params, message) => {
  const configure = vi.fn();
  await using hosted = new Hosted({ configure });
  const peer = await hosted.registered();
  await expect(hosted.call(peer, method, params)).rejects.toMatchObject({ code: 'invalid_params', message });
  expect(configure).not.toHaveBeenCalled();
});

test('an unknown method is an unsupported operation, whatever its name', async () => {
  await using hosted = new Hosted({});
  const peer = await hosted.registered();
  for (const method of ['dance', 'toString', '__proto__'])
    expect(await hosted.raw(peer, method)).toMatchObject([1, { code: 'unsupported_operation' }]);
  expect(await hosted.raw(peer, 'update_config', { changes: {} })).toMatchObject([
    1,
    { code: 'unsupported_operation', message: expect.stringMatching(/nothing to configure/) },
  ]);
});

test('a start that takes longer than its time is refused, and the collection is stopped again', async () => {
  const stops: string[] = [];
  const starts: { ended: PromiseWithResolvers<void>; signal: AbortSignal }[] = [];
  let calls = 0;
  await using hosted = new Hosted({
    start: (_overrides, { signal }) => {
      if (calls++ === 0) return;
      const ended = Promise.withResolvers<void>();
      starts.push({ ended, signal });
      return ended.promise;
    },
    stop: (reason) => void stops.push(reason),
  });
  const peer = await hosted.registered();
  await expect(hosted.call(peer, 'start_collection', { startup_timeout_ms: 20 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
    message: expect.stringMatching(/20 ms/),
  });
  expect(starts[0]!.signal.aborted).toBe(true);
  expect(stops).toEqual(['the start failed']);
  expect(await hosted.call(peer, 'health_check')).toMatchObject({ components: { collection: { status: 'stopped' } } });
  starts[0]!.ended.resolve(); // late: what it left behind is stopped, too
  await vi.waitUntil(() => stops.length === 2);
  const again = hosted.call(peer, 'start_collection', { startup_timeout_ms: 360 * 24 * 3_600_000 });
  await vi.waitUntil(() => starts.length === 2);
  starts[1]!.ended.resolve();
  expect(await again).toEqual({ state: 'collecting' });
  expect(stops).toHaveLength(2);
});

test('a late start stops nothing that was started after it', async () => {
  const stops: string[] = [];
  const first = Promise.withResolvers<void>();
  let calls = 0;
  await using hosted = new Hosted({
    start: () => (++calls === 2 ? first.promise : undefined),
    stop: (reason) => void stops.push(reason),
  });
  const peer = await hosted.registered();
  await expect(hosted.call(peer, 'start_collection', { startup_timeout_ms: 1 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
  });
  expect(await hosted.call(peer, 'start_collection')).toEqual({ state: 'collecting' });
  first.resolve();
  await hosted.call(peer, 'health_check');
  expect(stops).toEqual(['the start failed']);
  expect(await hosted.call(peer, 'health_check')).toMatchObject({
    components: { collection: { status: 'collecting' } },
  });
});

test('a start that ends after the collection was stopped is stopped, too', async () => {
  const stops: string[] = [];
  const slow = Promise.withResolvers<void>();
  let calls = 0;
  await using hosted = new Hosted({
    start: () => (++calls === 2 ? slow.promise : undefined),
    stop: (reason) => void stops.push(reason),
  });
  const peer = await hosted.registered();
  await expect(hosted.call(peer, 'start_collection', { startup_timeout_ms: 1 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
  });
  expect(await hosted.call(peer, 'stop_collection', { reason: 'maintenance' })).toEqual({ state: 'stopped' });
  slow.resolve();
  await hosted.call(peer, 'health_check');
  expect(stops).toEqual(['the start failed', 'maintenance', 'the start failed']);
});

test('a start that throws leaves a running collection as it was, and a stopped one stopped', async () => {
  const stops: string[] = [];
  let broken = false;
  await using hosted = new Hosted({
    start: () => {
      if (broken) throw new Error('no camera');
    },
    stop: (reason) => void stops.push(reason),
  });
  const peer = await hosted.registered();
  broken = true;
  const refusal = { code: 'handler_failed', message: 'no camera' };
  await expect(hosted.call(peer, 'start_collection')).rejects.toMatchObject(refusal);
  expect(stops).toEqual([]);
  expect(await hosted.call(peer, 'stop_collection', { reason: 'maintenance' })).toEqual({ state: 'stopped' });
  await expect(hosted.call(peer, 'start_collection')).rejects.toMatchObject(refusal);
  expect(stops).toEqual(['maintenance', 'the start failed']);
  expect(await hosted.call(peer, 'health_check')).toMatchObject({ components: { collection: { status: 'stopped' } } });
});

test('uptime is whole seconds, and does not follow the wall clock', async () => {
  await using hosted = new Hosted({});
  const peer = await hosted.registered();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  const { uptime_seconds } = await hosted.call(peer, 'health_check');
  vi.useRealTimers();
  expect(Number.isInteger(uptime_seconds)).toBe(true);
  expect(uptime_seconds).toBeLessThan(1800);
});
