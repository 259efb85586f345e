import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { Kind } from '../../src/protocol/frame.ts';
import { acceptRegistration, assign, Hosted, leaseOf } from './hosted.ts';

function stubborn() {
  const log: string[] = [];
  const results: PromiseWithResolvers<unknown>[] = [];
  return {
    log,
    results,
    definition: {
      maxConcurrentTasks: 10,
      operations: {
        work: (_task: unknown, { signal }: { signal: AbortSignal }) => {
          signal.addEventListener('abort', () => log.push('aborted'));
          const result = Promise.withResolvers<unknown>();
          results.push(result);
          return result.promise;
        },
      },
      stop: () => void log.push('stopped'),
    },
  };
}

async function busy(hosted: Hosted, results: readonly unknown[]) {
  const peer = await hosted.registered();
  assign(peer, leaseOf(1));
  await vi.waitUntil(() => results.length === 1);
  return peer;
}

test('graceful lets what runs finish, and hands it in', async () => {
  const { log, results, definition } = stubborn();
  await using hosted = new Hosted(definition);
  const peer = await busy(hosted, results);
  expect(await hosted.call(peer, 'shutdown', { type: 'graceful' })).toEqual({ accepted: true });
  const deregister = await peer.request('collector.deregister');
  expect(deregister.params).not.toMatchObject({ force: true });
  peer.reply(deregister, { tasks_in_progress: 1 });
  await expect(hosted.call(peer, 'stop_collection')).rejects.toMatchObject({ code: 'wrong_state' });
  results[0]!.resolve('done');
  const completed = await peer.request('task.complete');
  expect(completed.params).toEqual({ ...leaseOf(1), result: 'done' });
  expect(log).toEqual([]);
  peer.reply(completed, {});
  await hosted.running;
  expect(log).toEqual(['stopped']);
});

test('graceful ends what runs after its time', async () => {
  const { log, results, definition } = stubborn();
  await using hosted = new Hosted(definition);
  const peer = await busy(hosted, results);
  await hosted.call(peer, 'shutdown', { graceful_timeout_ms: 10 });
  peer.reply(await peer.request('collector.deregister'), { tasks_in_progress: 1 });
  await hosted.running;
  expect(log).toEqual(['aborted', 'stopped']);
});

test.each([
  ['without force_after_timeout', { graceful_timeout_ms: 1, force_after_timeout: false }],
  ['with a time longer than a timer takes', { graceful_timeout_ms: 360 * 24 * 3_600_000 }],
])('graceful %s goes on waiting', async (_, params) => {
  const { log, results, definition } = stubborn();
  await using hosted = new Hosted(definition);
  const peer = await busy(hosted, results);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    await hosted.call(peer, 'shutdown', params);
    peer.reply(await peer.request('collector.deregister'), { tasks_in_progress: 1 });
    await vi.advanceTimersByTimeAsync(3_600_000);
  } finally {
    vi.useRealTimers();
  }
  expect(log).toEqual([]);
  results[0]!.resolve('at last');
  peer.reply(await peer.request('task.complete'), {});
  await hosted.running;
  expect(log).toEqual(['stopped']);
});

test('immediate aborts what runs, hands in nothing more, and ends', async () => {
  const { log, results, definition } = stubborn();
  await using hosted = new Hosted(definition);
  const peer = await busy(hosted, results);
  expect(await hosted.call(peer, 'shutdown', { type: 'immediate' })).toEqual({ accepted: true });
  expect((await peer.request('collector.deregister')).params).toMatchObject({ force: true });
  results[0]!.resolve('too late');
  await hosted.running;
  expect(log).toEqual(['aborted', 'stopped']);
  expect(peer.left.filter(([kind]) => kind === Kind.request)).toEqual([]);
});

test('immediate ends a drain that goes on', async () => {
  const { log, results, definition } = stubborn();
  await using hosted = new Hosted(definition);
  const peer = await busy(hosted, results);
  await hosted.call(peer, 'shutdown', {});
  peer.reply(await peer.request('collector.deregister'), { tasks_in_progress: 1 });
  await hosted.call(peer, 'shutdown', { type: 'immediate' });
  await hosted.running;
  expect(log).toEqual(['aborted', 'stopped']);
});

test('emergency waits for nothing: not for what runs, not for stop, not for the broker', async () => {
  const { log, results, definition } = stubborn();
  await using hosted = new Hosted({
    ...definition,
    stop: () => {
      log.push('stop called');
      return new Promise(() => {});
    },
  });
  const peer = await busy(hosted, results);
  expect(await hosted.call(peer, 'shutdown', { type: 'emergency' })).toEqual({ accepted: true });
  await hosted.running;
  expect(log).toEqual(['aborted', 'stop called']);
  expect(peer.left.filter(([kind]) => kind === Kind.request)).toEqual([]);
});

test('a second signal ends it at once', async () => {
  const { log, results, definition } = stubborn();
  const terminate = () => process.listeners('SIGTERM').at(-1)!('SIGTERM');
  await using hosted = new Hosted(definition, { signals: true });
  const peer = await busy(hosted, results);
  terminate();
  peer.reply(await peer.request('collector.deregister'), { tasks_in_progress: 1 });
  expect(log).toEqual([]);
  terminate();
  await hosted.running;
  expect(log).toEqual(['aborted', 'stopped']);
});

test('a start that hangs does not keep it from ending', async () => {
  const begun = Promise.withResolvers<void>();
  await using hosted = new Hosted({
    start: () => {
      begun.resolve();
      return new Promise(() => {});
    },
  });
  const peer = await hosted.broker.connection(0);
  await begun.promise;
  hosted.stop();
  peer.refuse(await peer.request('collector.deregister'), 'not_registered');
  await hosted.running;
});

test('stopped while it registers, it drains as it does later', async () => {
  await using hosted = new Hosted({});
  const peer = await hosted.broker.connection(0);
  const registration = await peer.request('collector.register');
  hosted.stop();
  const deregister = await peer.request('collector.deregister');
  acceptRegistration(peer, registration, []);
  peer.reply(deregister, { tasks_in_progress: 0 });
  await hosted.running;
  expect(peer.left.filter(([kind]) => kind === Kind.request)).toEqual([]);
});

test('emergency ends a process that is the collector’s own, whatever it still does', async () => {
  const script = fileURLToPath(new URL('emergency-process.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 30_000 });
  expect(stdout).toBe('exits with 0\n');
});

test('a broker of another major version after a restart ends it with the reason', async () => {
  await using hosted = new Hosted({});
  const peer = await hosted.registered();
  hosted.broker.greet = (connection) => connection.welcome('9.0');
  peer.stream.destroy();
  await expect(hosted.running).rejects.toMatchObject({ code: 'protocol_version' });
});
