import { afterEach, expect, test, vi } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import type { Lease } from '../../src/protocol/schema.ts';
import type { FakeConnection } from '../client/fake-broker.ts';
import { acceptRegistration, assign, Hosted, leaseOf } from './hosted.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A handler whose attempts are ended by the test, by the token in their payload. */
function held() {
  const attempts = new Map<string, { result: PromiseWithResolvers<unknown>; signal: AbortSignal }>();
  const begun: string[] = [];
  const work = ({ payload }: { payload: unknown }, { signal }: { signal: AbortSignal }) => {
    const result = Promise.withResolvers<unknown>();
    attempts.set(String(payload), { result, signal });
    begun.push(String(payload));
    return result.promise;
  };
  return { attempts, begun, definition: { operations: { work }, maxConcurrentTasks: 10 } };
}

const give = (peer: Parameters<typeof assign>[0], lease: Lease) => assign(peer, lease, { payload: lease.token });

test('answers and heartbeats carry the task and the token of the attempt', async () => {
  const { attempts, begun, definition } = held();
  await using hosted = new Hosted(definition);
  const peer = await hosted.broker.connection(0);
  acceptRegistration(peer, await peer.request('collector.register'), []);
  const [good, bad] = [leaseOf(1), leaseOf(2)];
  give(peer, good);
  give(peer, bad);
  await vi.waitUntil(() => begun.length === 2);
  const stopped = hosted.call(peer, 'stop_collection');
  const heartbeat = await peer.request('collector.heartbeat');
  expect(heartbeat.params).toMatchObject({ leases: [good, bad], status: 'stopped' });
  peer.reply(heartbeat, { lost: [] });
  await stopped;
  attempts.get(good.token)!.result.resolve({ n: 1 });
  const completed = await peer.request('task.complete');
  expect(completed.params).toEqual({ ...good, result: { n: 1 } });
  peer.reply(completed, {});
  attempts.get(bad.token)!.result.reject(new Error('no'));
  const failed = await peer.request('task.fail');
  expect(failed.params).toEqual({ ...bad, error: { code: 'Error', message: 'no' }, next: 'retry' });
  peer.reply(failed, { state: 'retrying' });
  expect(await hosted.raw(peer, 'health_check')).toMatchObject([0, { metrics: { completed: 1, failed: 1, tasks: 0 } }]);
});

test('a lost lease is known by task and token: the next attempt of the same task goes on', async () => {
  const { attempts, begun, definition } = held();
  await using hosted = new Hosted(definition);
  const peer = await hosted.broker.connection(0);
  acceptRegistration(peer, await peer.request('collector.register'), []);
  const [old, next] = [leaseOf(1, 'old'), leaseOf(1, 'next')];
  give(peer, old);
  give(peer, next);
  await vi.waitUntil(() => begun.length === 2);
  void hosted.call(peer, 'start_collection');
  peer.reply(await peer.request('collector.heartbeat'), { lost: [old] });
  await vi.waitUntil(() => attempts.get('old')!.signal.aborted);
  expect(attempts.get('next')!.signal.aborted).toBe(false);
  attempts.get('old')!.result.resolve('too late');
  attempts.get('next')!.result.resolve('in time');
  const completed = await peer.request('task.complete');
  expect(completed.params).toEqual({ ...next, result: 'in time' });
  peer.reply(completed, {});
});

test('a cancel names the token: another attempt of the task is not aborted', async () => {
  const { attempts, begun, definition } = held();
  await using hosted = new Hosted(definition);
  const peer = await hosted.registered();
  const [one, other] = [leaseOf(1, 'one'), leaseOf(1, 'other')];
  give(peer, one);
  give(peer, other);
  await vi.waitUntil(() => begun.length === 2);
  peer.send(Kind.publish, 'control.tasks.t.c', { kind: 'cancel', ...one, reason: 'timed out' });
  await vi.waitUntil(() => attempts.get('one')!.signal.aborted);
  expect(attempts.get('one')!.signal.reason).toMatchObject({ message: 'timed out' });
  expect(attempts.get('other')!.signal.aborted).toBe(false);
});

test('after a reconnect only what was reclaimed goes on, and what was assigned meanwhile', async () => {
  const { attempts, begun, definition } = held();
  await using hosted = new Hosted(definition);
  const first = await hosted.registered();
  const [kept, lost, fresh] = [leaseOf(1), leaseOf(2), leaseOf(2, 'fresh')];
  give(first, kept);
  give(first, lost);
  await vi.waitUntil(() => begun.length === 2);
  first.stream.destroy();
  const second = await hosted.broker.connection(1);
  const registration = await second.request('collector.register');
  expect(registration.params.leases).toEqual([kept, lost]);
  give(second, fresh); // the broker may assign before its reply is on the wire
  acceptRegistration(second, registration, [kept]);
  await vi.waitUntil(() => attempts.get(lost.token)!.signal.aborted && begun.length === 3);
  expect(attempts.get(kept.token)!.signal.aborted).toBe(false);
  expect(attempts.get('fresh')!.signal.aborted).toBe(false);
  for (const { token } of [lost, kept, fresh]) attempts.get(token)!.result.resolve(token);
  for (const lease of [kept, fresh]) {
    const completed = await second.request('task.complete');
    expect(completed.params).toEqual({ ...lease, result: lease.token });
    second.reply(completed, {});
  }
});

test.each<[string, (peer: FakeConnection) => void]>([
  ['a goodbye', (peer) => peer.goodbye('shutting_down')],
  ['a lost connection', (peer) => peer.stream.destroy()],
])('after %s a result waits until the collector is registered again', async (_, end) => {
  const { attempts, begun, definition } = held();
  await using hosted = new Hosted(definition);
  const first = await hosted.registered();
  const lease = leaseOf(1);
  give(first, lease);
  await vi.waitUntil(() => begun.length === 1);
  attempts.get(lease.token)!.result.resolve('done');
  await first.request('task.complete'); // never answered
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  end(first);
  await vi.advanceTimersByTimeAsync(1000);
  const second = await hosted.broker.connection(1);
  const registration = await second.request('collector.register');
  // Time enough for a hand-in that does not wait for the registration.
  await vi.advanceTimersByTimeAsync(1000);
  expect(second.left).toEqual([]);
  vi.useRealTimers();
  acceptRegistration(second, registration, [lease]);
  const completed = await second.request('task.complete');
  expect(completed.params).toEqual({ ...lease, result: 'done' });
  second.refuse(completed, 'store_failed');
  const again = await second.request('task.complete');
  second.reply(again, {});
});

test('the pauses before a reconnect are a second at most while it holds a lease', async () => {
  const { begun, definition } = held();
  await using hosted = new Hosted(definition);
  const { broker } = hosted;
  const peer = await hosted.registered();
  give(peer, leaseOf(1));
  await vi.waitUntil(() => begun.length === 1);
  broker.away = true;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.spyOn(Math, 'random').mockReturnValue(1);
  peer.stream.destroy();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(broker.dials).toBeGreaterThan(20);
  broker.away = false;
  await vi.advanceTimersByTimeAsync(1000);
  vi.useRealTimers();
  const registration = await (await broker.connection(1)).request('collector.register');
  expect(registration.params.leases).toEqual([leaseOf(1)]);
  acceptRegistration(broker.connections[1]!, registration, [leaseOf(1)]);
});
