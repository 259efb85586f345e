import { expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { defineCollector, ExcludeMeError, NonRetryableError, RetryAfterError } from '../../src/index.ts';
import { harness, until } from '../broker/harness.ts';

const collectorsOf = async (client: Client) => (await client.request('collector.list', {})).collectors;

test('what a handler throws decides what happens', async () => {
  await using broker = await harness();
  const client = await broker.client('c');
  const stop = new AbortController();
  const tries: Record<string, number> = {};
  const runCollector = (id: string) =>
    defineCollector({
      type: 't',
      maxConcurrentTasks: 10,
      operations: {
        flaky: ({ attempt }) => {
          if (attempt < 3) throw new Error(`no ${attempt}`);
          return 'at last';
        },
        hopeless: () => {
          throw new NonRetryableError('never');
        },
        later: ({ attempt }) => {
          if (attempt === 1) throw new RetryAfterError(1, 'soon');
          return attempt;
        },
        picky: () => {
          tries[id] = (tries[id] ?? 0) + 1;
          if (id === 'a') throw new ExcludeMeError('not me');
          return id;
        },
        wrong: () => ({ at: new Date() }),
        nothing: () => undefined,
      },
    }).run({ transport: () => broker.running.open(), id, signal: stop.signal, signals: false });
  const first = runCollector('a');
  await until(async () => (await collectorsOf(client)).length === 1, 'a is there');
  const picky = await client.submit({ operation: 'picky' });
  await until(async () => (await client.show(picky.id)).attempts.length === 1, 'a refused it');
  const second = runCollector('b');
  const outcome = async (operation: string) =>
    client.wait((await client.submit({ operation, backoff: { base_ms: 1, cap_ms: 2 }, max_retries: 2 })).id);
  expect(await client.wait(picky.id)).toMatchObject({ state: 'completed', result: 'b', attempt: 2 });
  expect(tries).toEqual({ a: 1, b: 1 });
  expect(await outcome('flaky')).toMatchObject({
    state: 'completed',
    result: 'at last',
    attempt: 3,
    attempts: [{ error: { message: 'no 1' } }, { error: { message: 'no 2' } }, { outcome: 'completed' }],
  });
  expect(await outcome('hopeless')).toMatchObject({
    state: 'dead_letter',
    attempt: 1,
    error: { code: 'NonRetryableError', message: 'never' },
  });
  expect(await outcome('later')).toMatchObject({ state: 'completed', result: 2 });
  expect(await outcome('nothing')).toMatchObject({ state: 'completed', result: null });
  expect(await outcome('wrong')).toMatchObject({
    state: 'dead_letter',
    error: { message: expect.stringMatching(/cannot travel/) },
  });
  stop.abort();
  await Promise.all([first, second]);
});

test('an attempt over its time is aborted and, when it does not stop, failed', async () => {
  await using broker = await harness({ cancelGraceMs: 50 });
  const client = await broker.client('c');
  const stop = new AbortController();
  let aborted = 0;
  const running = defineCollector({
    type: 't',
    operations: {
      stubborn: (_task, { signal }) => {
        signal.addEventListener('abort', () => aborted++);
        return new Promise(() => {});
      },
    },
  }).run({ transport: () => broker.running.open(), id: 's', signal: stop.signal, signals: false, drainMs: 10 });
  const { id } = await client.submit({ operation: 'stubborn', timeout_ms: 30, max_retries: 0 });
  expect(await client.wait(id)).toMatchObject({ state: 'dead_letter', attempts: [{ outcome: 'timed_out' }] });
  expect(aborted).toBe(1);
  stop.abort();
  await running;
});
