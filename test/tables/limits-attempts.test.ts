/** Limits of attempts and of what is kept, in virtual time. */
import { expect, test } from 'vitest';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { uuidTimeMs } from '../../src/protocol/uuid-time.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { harness, type Raw } from '../broker/harness.ts';
import { VirtualClock } from '../broker/virtual-clock.ts';
import { speak } from './spoken.ts';

const hourMs = 3_600_000;
const never = { pingMs: 1e9, idleMs: 1e9 };
const patient = { ...never, leaseMs: 1e9, heartbeatMs: 1e9 };

/** A broker with a collector `w` and an operator, who submits a task of its operation. */
async function scene(limits: Parameters<typeof harness>[0], store = new MemoryStore()) {
  const clock = new VirtualClock();
  const broker = await harness({ ...patient, ...limits }, { clock, store });
  const [collector, operator] = [await broker.session('collector'), await broker.session()];
  const registered = await collector.register('w', { max_concurrent_tasks: 100 });
  const { id } = await operator.request('task.submit', { operation: 'work' });
  const lease = await assigned(collector);
  const stateOf = async () => (await operator.request('task.show', { id })).state;
  return { broker, clock, collector, operator, registered, id, lease, stateOf };
}

interface Lease {
  readonly task_id: string;
  readonly token: string;
}

async function assigned(collector: Raw): Promise<Lease> {
  const { kind, task_id, token } = (await collector.message()) as Lease & { kind: string };
  expect(kind).toBe('assign');
  return { task_id, token };
}

const attemptsOf = async (operator: Raw, id: string) =>
  (await operator.request('task.show', { id })).attempts.map(({ outcome }) => outcome);

test('leaseMs: renewed by a heartbeat, else the attempt is lost', async () => {
  const { broker, clock, collector, operator, registered, id, lease } = await scene({ leaseMs: 1000 });
  await using _ = broker;
  expect(registered.lease_ms).toBe(1000);
  await clock.advance(999);
  expect(await collector.request('collector.heartbeat', { leases: [lease] })).toEqual({ lost: [] });
  await clock.advance(999);
  expect(collector.frames).toEqual([]);
  await clock.advance(1);
  expect(await collector.message()).toMatchObject({ kind: 'cancel', token: lease.token });
  expect(await attemptsOf(operator, id)).toEqual(['lease_expired']);
  expect(await collector.request('collector.heartbeat', { leases: [lease] })).toEqual({ lost: [lease] });
  speak('leaseMs');
});

test('heartbeatMs: after two missed ones, and a tenth, the tasks go back', async () => {
  const { broker, clock, operator, registered, id, stateOf } = await scene({ heartbeatMs: 1000 });
  await using _ = broker;
  expect(registered.heartbeat_ms).toBe(1000);
  const status = async () => (await operator.request('collector.show', { collector_id: 'w' })).status;
  await clock.advance(1099);
  expect(await status()).toBe('healthy');
  await clock.advance(1);
  expect(await status()).toBe('degraded');
  await clock.advance(999);
  expect(await stateOf()).toBe('in_progress');
  await clock.advance(1);
  expect([await status(), await stateOf()]).toEqual(['failing', 'pending']);
  expect(await attemptsOf(operator, id)).toEqual(['collector_silent']);
  speak('heartbeatMs');
});

test('taskTimeoutMs and cancelGraceMs: of a task that names no timeout', async () => {
  const { broker, clock, collector, operator, id, stateOf } = await scene({ taskTimeoutMs: 500, cancelGraceMs: 200 });
  await using _ = broker;
  expect((await operator.request('task.show', { id })).timeout_ms).toBe(500);
  await clock.advance(499);
  expect(collector.frames).toEqual([]);
  await clock.advance(1);
  expect(await collector.message()).toMatchObject({ kind: 'cancel', task_id: id });
  await clock.advance(199);
  expect(await stateOf()).toBe('in_progress');
  await clock.advance(1);
  expect([await stateOf(), await attemptsOf(operator, id)]).toEqual(['retrying', ['timed_out']]);
  speak('taskTimeoutMs');
  speak('cancelGraceMs');
});

test('reclaimGraceMs: in progress after a restart, until it is over', async () => {
  const store = new MemoryStore();
  const { broker, id } = await scene({}, store);
  // As after a crash: what the first broker does from now on is not kept.
  store.commit = async () => {};
  await broker[Symbol.asyncDispose]();
  const kept = Object.assign(store, { commit: MemoryStore.prototype.commit });
  const clock = new VirtualClock();
  await using again = await harness({ ...patient, reclaimGraceMs: 5000 }, { clock, store: kept });
  const operator = await again.session();
  await clock.advance(4999);
  expect(await operator.request('task.show', { id })).toMatchObject({ state: 'in_progress', attempts: [] });
  await clock.advance(1);
  expect((await operator.request('task.show', { id })).state).toBe('pending');
  expect(await attemptsOf(operator, id)).toEqual(['not_reclaimed']);
  speak('reclaimGraceMs');
});

test('retriesMax: of a task that names none', async () => {
  const { broker, clock, collector, operator, lease, id } = await scene({ retriesMax: 1 });
  await using _ = broker;
  const error = { code: 'no', message: 'no' };
  expect(await collector.request('task.fail', { ...lease, error, retry_after_ms: 5 })).toEqual({
    state: 'retrying',
    sync: 'none',
  });
  await clock.advance(5);
  const second = await assigned(collector);
  expect(await collector.request('task.fail', { ...second, error })).toEqual({ state: 'dead_letter', sync: 'none' });
  expect((await operator.request('task.show', { id })).max_retries).toBe(1);
  speak('retriesMax');
});

test('backoffBaseMs and backoffCapMs: of a task that names none', async () => {
  const limits = { backoffBaseMs: 1000, backoffCapMs: 1500, retriesMax: 2 };
  const { broker, clock, collector, operator, lease } = await scene(limits);
  await using _ = broker;
  const error = { code: 'no', message: 'no' };
  await collector.request('task.complete', lease);
  const tasks = Array.from({ length: 50 }, () => ({ operation: 'work' }));
  await operator.request('task.submit_batch', { tasks });
  for (const most of [1000, 1500]) {
    for (let count = 0; count < 50; count++)
      await collector.request('task.fail', { ...(await assigned(collector)), error });
    const page = await operator.request('task.list', { state: ['retrying'], limit: 1000 });
    const delays = page.tasks.map(({ ready_at_ms = 0, updated_at_ms }) => ready_at_ms - updated_at_ms);
    expect(delays).toHaveLength(50);
    expect(Math.max(...delays)).toBeLessThanOrEqual(most);
    expect(Math.max(...delays)).toBeGreaterThan(most / 2); // of fifty random parts of it
    await clock.advance(most);
  }
  speak('backoffBaseMs');
  speak('backoffCapMs');
});

test('collectorTasksMax: whatever a collector asks for', async () => {
  const { broker, collector, operator, lease } = await scene({ collectorTasksMax: 2 });
  await using _ = broker;
  const second = await operator.request('task.submit', { operation: 'work' });
  const third = await operator.request('task.submit', { operation: 'work' });
  expect([second.state, third.state]).toEqual(['in_progress', 'pending']);
  await assigned(collector);
  await collector.request('task.complete', lease);
  expect((await assigned(collector)).task_id).toBe(third.id);
  speak('collectorTasksMax');
});

test('retentionMs and deadLetterRetentionMs: deleted within a minute after it', async () => {
  const limits = { retentionMs: 1.5 * hourMs, deadLetterRetentionMs: 2.5 * hourMs, retriesMax: 0 };
  const { broker, clock, collector, operator, id, lease } = await scene(limits);
  await using _ = broker;
  await collector.request('task.complete', lease);
  const dead = await operator.request('task.submit', { operation: 'work' });
  await collector.request('task.fail', { ...(await assigned(collector)), error: { code: 'no', message: 'no' } });
  const live = await operator.request('task.submit', { operation: 'dream' });
  const kept = async () => (await operator.request('task.list', {})).tasks.map((task) => task.id);
  await clock.advance(1.5 * hourMs - 1000);
  expect(await kept()).toEqual([live.id, dead.id, id]);
  await clock.advance(62_000);
  expect(await kept()).toEqual([live.id, dead.id]);
  // Its id is in memory still; others of its age are refused.
  expect(await operator.request('task.submit', { operation: 'work', id })).toMatchObject({ duplicate: true });
  const old = uuidv7(uuidTimeMs(id));
  expect(await operator.refused('task.submit', { operation: 'work', id: old })).toMatchObject({ code: 'id_expired' });
  await clock.advance(hourMs);
  expect(await kept()).toEqual([live.id]);
  speak('retentionMs');
  speak('deadLetterRetentionMs');
});

test('endedTasksMax and bookBytesMax: within a minute the oldest are deleted, or lose their bodies', async () => {
  const { broker, clock, collector, operator, id, lease } = await scene({ endedTasksMax: 3, bookBytesMax: 2000 });
  await using _ = broker;
  await collector.request('task.complete', lease);
  const ids = [id];
  for (let at = 0; at < 4; at++) {
    await clock.advance(5);
    ids.push((await operator.request('task.submit', { operation: 'work', payload: 'x'.repeat(900) })).id);
    await collector.request('task.complete', { ...(await assigned(collector)), result: 'done' });
  }
  const live = await operator.request('task.submit', { operation: 'dream', payload: 'x'.repeat(5000) });
  const kept = async () => (await operator.request('task.list', {})).tasks.map((task) => task.id);
  expect(await kept()).toHaveLength(6);
  await clock.advance(61_000);
  expect(await kept()).toEqual([live.id, ...ids.slice(2).reverse()]);
  const include: ('payload' | 'result')[] = ['payload', 'result'];
  const [trimmed, whole] = [
    await operator.request('task.show', { id: ids[2]!, include }),
    await operator.request('task.show', { id: ids[3]!, include }),
  ];
  expect(trimmed).toMatchObject({ state: 'completed', trimmed: true, payload_bytes: 0 });
  expect([Object.hasOwn(trimmed, 'payload'), Object.hasOwn(trimmed, 'result')]).toEqual([false, false]);
  expect(whole).toMatchObject({ payload: 'x'.repeat(900), result: 'done' });
  expect(Object.hasOwn(whole, 'trimmed')).toBe(false);
  speak('endedTasksMax');
  speak('bookBytesMax');
});

test('stopGraceMs: a graceful stop waits so long for attempts in progress', async () => {
  const { broker, clock, operator } = await scene({ stopGraceMs: 5000 });
  let stopped = false;
  const stop = broker.running.stop('graceful').then(() => {
    stopped = true;
  });
  await clock.advance(4980);
  expect([stopped, operator.closed]).toEqual([false, false]);
  await clock.advance(50);
  await stop;
  expect((await operator.goodbye()).code).toBe('shutting_down');
  await broker[Symbol.asyncDispose]();
  speak('stopGraceMs');
});

test('leasesMax: in a registration and in a heartbeat', async () => {
  const { broker, collector } = await scene({});
  await using _ = broker;
  const leases = (count: number): Lease[] =>
    Array.from({ length: count }, (_, at) => ({ task_id: uuidv7(at), token: String(at) }));
  const most = leases(10_000);
  expect((await collector.request('collector.heartbeat', { leases: most })).lost).toHaveLength(10_000);
  const again = { collector_id: 'w', collector_type: 't', operations: [{ name: 'work' }] };
  expect(await collector.request('collector.register', { ...again, leases: most })).toMatchObject({ reclaimed: [] });
  for (const [method, params] of [
    ['collector.heartbeat', {}],
    ['collector.register', again],
  ] as const)
    expect(await collector.refused(method, { ...params, leases: leases(10_001) })).toMatchObject({
      code: 'invalid_params',
      message: expect.stringMatching(/leases.*10000/),
    });
  speak('leasesMax');
});
