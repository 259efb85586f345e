/** Every method of the broker answers, and its reply is the one that its row describes (the checker looks). */
import { expect, test } from 'vitest';
import { methodTable } from '../../src/protocol/message.ts';
import { statusTopic } from '../../src/protocol/view-schema.ts';
import { harness } from '../broker/harness.ts';

test('the life of a task, by its methods', async () => {
  await using broker = await harness({}, { socket: true });
  const [operator, collector] = [await broker.session(), await broker.session('collector')];
  const registered = await collector.register('w', { leases: [] });
  expect(registered).toMatchObject({ topic: 'control.tasks.t.w', reclaimed: [] });
  const { id } = await operator.request('task.submit', { operation: 'work', payload: { a: 1 }, labels: {} });
  const wait = operator.ask('task.wait', { id, include: ['payload', 'result'] }, 'broker', 60_000);
  const first = (await collector.message()) as { task_id: string; token: string; attempt: number };
  expect(first).toMatchObject({ kind: 'assign', task_id: id, attempt: 1, payload: { a: 1 } });
  const lease = { task_id: id, token: first.token };
  expect(await collector.request('collector.heartbeat', { leases: [lease], cpu_percent: 1.5 })).toEqual({ lost: [] });
  const error = { code: 'flaky', message: 'not now' };
  expect(await collector.request('task.fail', { ...lease, error, retry_after_ms: 0 })).toEqual({
    state: 'retrying',
    sync: 'none',
  });
  const second = (await collector.message()) as { token: string };
  const show = await operator.request('collector.show', { collector_id: 'w' });
  expect(show).toMatchObject({ status: 'healthy', holds: [{ task_id: id, attempt: 2 }] });
  expect(await collector.request('task.complete', { task_id: id, token: second.token, result: 7 })).toEqual({
    sync: 'none',
  });
  expect(await operator.reply(wait)).toMatchObject({ state: 'completed', result: 7, payload: { a: 1 }, attempt: 2 });
  expect((await operator.request('task.list', { state: ['completed'] })).tasks).toMatchObject([{ id }]);
  const waiting = await operator.request('task.submit_batch', { tasks: [{ operation: 'x' }, { operation: 'X' }] });
  expect(waiting.outcomes).toMatchObject([{ warning: { code: 'no_capable_collector' } }, { code: 'invalid_params' }]);
  const [pending] = (await operator.request('task.list', { state: ['queued'] })).tasks;
  expect(pending).toMatchObject({ operation: 'x', waits_for: { code: 'no_capable_collector' } });
  expect(await operator.request('task.cancel', { id: pending!.id })).toMatchObject({ state: 'cancelled' });
  expect(await collector.request('collector.deregister', {})).toEqual({ tasks_in_progress: 0 });
  expect(await operator.request('collector.list', {})).toEqual({ collectors: [] });
});

test('looking, choosing, stopping', async () => {
  await using broker = await harness({}, { socket: true });
  const { running } = broker;
  const [operator, collector] = [await broker.session(), await broker.session('collector')];
  await collector.register('w', { labels: { zone: 'a' }, metadata: { who: 'me' }, status: 'degraded' });
  await operator.request('task.submit', { operation: 'dream' });
  expect(await operator.request('broker.health', {})).toMatchObject({ status: 'healthy' });
  const { methods, collectors_by_operation: operations } = await operator.request('broker.capabilities', {});
  expect([methods, operations]).toEqual([Object.keys(methodTable), { work: ['w'] }]);
  expect((await operator.request('routing.show', {})).strategy).toBe('least_loaded');
  await operator.request('routing.set', { strategy: 'round_robin' });
  const chosen = { strategy: 'weighted', operation: 'work' };
  expect(await operator.request('routing.set', chosen)).toEqual({ ...chosen, sync: 'none' });
  expect((await operator.request('routing.show', {})).per_operation).toEqual({ work: 'weighted' });
  const snapshot = await operator.request('broker.snapshot', {});
  expect(snapshot).toMatchObject({
    waiting: 1,
    collectors: [{ collector_id: 'w', status: 'degraded' }],
    queues: [
      { operation: 'dream', unservable: true },
      { operation: 'work', unservable: false },
    ],
  });
  const stopped: string[] = [];
  running.broker.supervisor = {
    has: (id) => id === 'child',
    start: () => undefined,
    stop: (id) => void stopped.push(id),
    gone: () => {},
    absent: () => [{ ...snapshot.collectors[0]!, collector_id: 'child', status: 'stopped', supervised: true }],
  };
  const child = { collector_id: 'child' };
  expect((await operator.request('collector.list', {})).collectors).toMatchObject([child, { collector_id: 'w' }]);
  expect(await operator.request('collector.show', child)).toMatchObject({ ...child, holds: [] });
  expect(await operator.request('collector.start', child)).toEqual({ ...child, status: 'starting' });
  expect(await operator.request('collector.stop', child)).toEqual({ ...child, status: 'draining' });
  expect(stopped).toEqual(['child']);
  await operator.request('topic.subscribe', { patterns: [statusTopic], exclude: ['a'] });
  expect(await operator.message()).toMatchObject({ waiting: 1 });
  expect(await operator.request('topic.unsubscribe', { patterns: [statusTopic] })).toEqual({ subscriptions: 0 });
  expect(await operator.request('broker.log_level', { level: 'error' })).toEqual({ level: 'error' });
  expect(await operator.request('broker.shutdown', { type: 'immediate' })).toEqual({ accepted: true });
  expect(await running.broker.stopRequested).toBe('immediate');
});
