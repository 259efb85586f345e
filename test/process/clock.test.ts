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

  /** A collector: `echo` answers, `flaky` fails once and is retried after 300 ms, `hold` works until it is released. */
  async collector() {
    const child = this.spawnScript(`
      import { defineCollector, RetryAfterError } from ${sdk};
      import { existsSync } from 'node:fs';
      await defineCollector({
        type: 't',
        maxConcurrentTasks: 10,
        operations: {
          echo: ({ payload }) => payload,
          flaky: ({ attempt }) => { if (attempt === 1) throw new RetryAfterError(300, 'once'); return attempt; },
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
      expect(Math.abs(jump.by_ms - (offsetMs - before)), what).toBeLessThan(5000);
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
      expect(await client.wait(flaky.id)).toMatchObject({ state: 'completed', attempt: 2 });
      expect(await shown(client, held.id)).toMatchObject({ state: 'in_progress', attempt: 1 });
      writeFileSync(release, '');
      expect(await client.wait(held.id)).toMatchObject({ state: 'completed', result: 1 });
    }
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
    if (state === 'retrying') expect(ready_at_ms! - Date.now()).toBeLessThanOrEqual(300);
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
    expect((await clock.next()).value?.body).toMatchObject({ by_ms: expect.any(Number) });
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
