import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/index.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { until } from '../broker/harness.ts';
import { missing } from '../interop/missing.ts';
import { ended, World } from './daemon.ts';

/** Moves the wall clock of a process while it runs, and leaves its monotonic clock alone. */
const library = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

const hour = 3_600_000;
/** A retry and a lease of this span, and a timer that was started before it: on one monotonic clock, it is over before. */
const spanMs = 1200;
const markMs = 900;
/** Far less than any jump. What is a jump late or early is over this. */
const nearMs = 5000;
/** Far longer than the span takes on a busy machine, and far less than any jump. */
const longestMs = 30_000;
const sdk = JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href);

class MovedWorld extends World {
  readonly #offset = join(this.directory, 'offset');

  constructor() {
    super();
    this.move(0);
    Object.assign(this.env, {
      LD_PRELOAD: library,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
      FAKETIME_TIMESTAMP_FILE: this.#offset,
    });
  }

  move(ms: number): void {
    writeFileSync(this.#offset, `${ms < 0 ? '-' : '+'}${Math.abs(ms) / 1000}`);
  }

  /**
   * A collector: `echo` answers, `hold` works until it is released, `flaky` fails once and is retried after `spanMs`; it
   * answers whether a timer of `markMs` had run by then, and how long it took.
   */
  async collector() {
    const child = this.spawnScript(`
      import { defineCollector, RetryAfterError } from ${sdk};
      import { existsSync } from 'node:fs';
      const failed = new Map();
      await defineCollector({
        type: 't',
        maxConcurrentTasks: 10,
        operations: {
          echo: ({ payload }) => payload,
          flaky: ({ id, attempt }) => {
            const before = failed.get(id);
            if (attempt > 1) return before && { isMarked: before.isMarked, tookMs: performance.now() - before.atMs };
            const mark = { isMarked: false, atMs: performance.now() };
            failed.set(id, mark);
            setTimeout(() => { mark.isMarked = true; }, ${markMs});
            throw new RetryAfterError(${spanMs}, 'once');
          },
          hold: async ({ payload, attempt }, { signal }) => {
            while (!existsSync(payload)) { signal.throwIfAborted(); await new Promise((resolve) => setTimeout(resolve, 20)); }
            return attempt;
          },
        },
      }).run({ id: 'c', onReady: () => console.log('ready') });
    `);
    await this.said(child, 'ready');
    return child;
  }
}

const jumps: [string, number][] = [
  ['an hour ahead', hour],
  ['back again', 0],
  ['an hour back', -hour],
  ['a day ahead', 24 * hour],
  ['a day back', -24 * hour],
  ['a year ahead', 365 * 24 * hour],
  ['a year back', -365 * 24 * hour],
  ['right again', 0],
];

describe.skipIf(missing(library === undefined, 'libfaketime'))('the wall clock jumps', () => {
  test('while the broker runs: submits are accepted, retries and leases come at their moment, and the jump is told', async () => {
    await using world = new MovedWorld();
    await world.broker();
    await world.collector();
    const client = await world.client();
    const clock = await client.subscribe('control.broker.clock');
    let before = 0;
    for (const [what, offsetMs] of jumps) {
      const release = join(world.directory, `release ${what}`);
      const held = await client.submit({ operation: 'hold', payload: release });
      const flaky = await client.submit({ operation: 'flaky' });
      await until(async () => (await shown(client, flaky.id)).attempt >= 1, `${what}: the first attempt`);
      world.move(offsetMs);
      const jump = (await clock.next()).value?.body as { by_ms: number };
      expect(Math.abs(jump.by_ms - (offsetMs - before)), what).toBeLessThan(nearMs);
      before = offsetMs;
      // Ids by the clock of this process, by the broker's, and from far away.
      for (const idMs of [Date.now(), Date.now() + offsetMs, Date.now() - 2 * offsetMs]) {
        const { id, duplicate } = await client.submit({
          operation: 'echo',
          payload: what,
          id: uuidv7(Math.max(1, idMs)),
        });
        expect(duplicate).toBe(false);
        expect(await client.wait(id)).toMatchObject({ state: 'completed', result: what });
      }
      const retried = await client.wait(flaky.id);
      expect(retried, what).toMatchObject({ state: 'completed', attempt: 2, result: { isMarked: true } });
      expect((retried.result as { tookMs: number }).tookMs, what).toBeLessThan(longestMs);
      expect(await shown(client, held.id)).toMatchObject({ state: 'in_progress', attempt: 1 });
      writeFileSync(release, '');
      expect(await client.wait(held.id)).toMatchObject({ state: 'completed', result: 1 });
    }
    await client.close();
  });

  test('while a lease runs that nobody renews: it ends after its span, whatever the clock did', async () => {
    await using world = new MovedWorld();
    world.env.DEYE_LIMITS_LEASE_MS = `${spanMs}`;
    await world.broker();
    const client = await world.client();
    const collector = await world.client({ role: 'collector' });
    const clock = await client.subscribe('control.broker.clock');
    await collector.request('collector.register', {
      ...{ collector_id: 'silent', collector_type: 't', operations: [{ name: 'x' }], max_concurrent_tasks: 100 },
    });
    for (const [what, offsetMs] of jumps) {
      let isMarked = false;
      const submittedAtMs = performance.now();
      setTimeout(() => {
        isMarked = true;
      }, markMs);
      const { id, state } = await client.submit({ operation: 'x', max_retries: 0 });
      expect(state).toBe('in_progress');
      world.move(offsetMs);
      expect(await client.wait(id), what).toMatchObject({ state: 'dead_letter', attempt: 1 });
      expect(isMarked, what).toBe(true);
      expect(performance.now() - submittedAtMs, what).toBeLessThan(longestMs);
      await clock.next(); // the jump was noticed
    }
    await collector.close();
    await client.close();
  });

  test('between two lives of the broker: a retry waits never longer than its own span', async () => {
    await using world = new MovedWorld();
    world.move(365 * 24 * hour);
    let broker = await world.broker();
    const collector = await world.collector();
    const client = await world.client();
    const { id } = await client.submit({ operation: 'flaky', payload: 1 });
    const long = await client.submit({ operation: 'nobody', backoff: { base_ms: 1000, cap_ms: 1000 } });
    await until(async () => (await shown(client, id)).attempt >= 1, 'it failed once');
    broker.kill('SIGKILL');
    await ended(broker);
    collector.kill('SIGKILL');
    await ended(collector);
    world.move(0);
    broker = await world.broker();
    const { state, ready_at_ms } = await shown(client, id);
    if (state === 'retrying') expect(ready_at_ms! - Date.now()).toBeLessThanOrEqual(spanMs);
    await world.collector();
    expect(await client.wait(id)).toMatchObject({ state: 'completed' });
    expect((await shown(client, long.id)).state).toBe('pending');
    await client.close();
  });

  test('far ahead between two lives: the start says that nothing is purged yet', async () => {
    await using world = new MovedWorld();
    const start = ['broker', 'start', '--no-collectors'];
    expect(await world.run(start)).toMatchObject({ code: 0, stderr: '' });
    const client = await world.client();
    await client.submit({ operation: 'nobody' });
    await client.close();
    await world.run(['broker', 'stop']);
    world.move(365 * 24 * hour);
    const { code, stdout, stderr } = await world.run([...start, '--json']);
    const told = expect.stringMatching(/nothing was stored for 365 d\. .*if the clock is wrong, set it before/);
    expect([code, stderr, JSON.parse(stdout)]).toEqual([0, told, expect.objectContaining({ warnings: [told] })]);
    expect((await world.run(['broker', 'logs'])).stdout).toEqual(told);
  });

  test('a suspend of ten minutes: everything stands still, the clock goes on, and work goes on afterwards', async () => {
    await using world = new MovedWorld();
    const broker = await world.broker();
    const collector = await world.collector();
    const client = await world.client();
    const clock = await client.subscribe('control.broker.clock');
    const release = join(world.directory, 'release');
    const held = await client.submit({ operation: 'hold', payload: release });
    await until(async () => (await shown(client, held.id)).state === 'in_progress', 'it works');
    for (const child of [broker, collector]) child.kill('SIGSTOP');
    world.move(600_000);
    await until(() => [broker, collector].every(({ pid }) => stateOf(pid!) === 'T'), 'both stand still');
    for (const child of [collector, broker]) child.kill('SIGCONT');
    const jump = (await clock.next()).value?.body as { by_ms: number };
    expect(Math.abs(jump.by_ms - 600_000)).toBeLessThan(nearMs);
    const { id } = await client.submit({ operation: 'echo', payload: 'awake' });
    expect(await client.wait(id)).toMatchObject({ state: 'completed', result: 'awake' });
    expect(await shown(client, held.id)).toMatchObject({ state: 'in_progress', attempt: 1 });
    writeFileSync(release, '');
    expect(await client.wait(held.id)).toMatchObject({ state: 'completed', attempt: 1 });
    await client.close();
  });
});

const shown = (client: Client, id: string) => client.request('task.show', { id });

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat[stat.lastIndexOf(')') + 2]!;
}
