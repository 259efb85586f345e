import type { ChildProcess } from 'node:child_process';
import { expect, test } from 'vitest';
import { nextRandom } from '../../src/core/random.ts';
import type { Client } from '../../src/index.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { until } from '../broker/harness.ts';
import { loadAt } from '../conformance/records.ts';
import { ended, World } from './daemon.ts';

const kills = Number(process.env.DEYE_KILLS ?? 20);
/** A start costs what its store holds, and nothing here takes the tasks out again: with one store for all, doses would cost their square. */
const killsOfStore = 50;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const foreground = ['broker', 'start', '--foreground', '--no-collectors', '--log-level', 'error'];

/** Submits 20 every 10 ms, whether the broker is there or not: the client repeats what was not answered, under the same id. */
class Submits {
  readonly intended = new Set<string>();
  readonly acknowledged = new Set<string>();
  readonly #open = new Set<Promise<void>>();
  #going = true;
  readonly #all: Promise<void>;

  constructor(client: Client) {
    this.#all = this.#run(client);
  }

  async #run(client: Client): Promise<void> {
    while (this.#going) {
      for (let at = 0; at < 20 && this.#open.size < 4000; at++) this.#submit(client, at);
      await pause(10);
    }
  }

  #submit(client: Client, at: number): void {
    const id = uuidv7();
    this.intended.add(id);
    const one: Promise<void> = client
      .submit({ operation: 'scan', id, payload: { at } }, { timeoutMs: 60_000 })
      .then(({ id: told }) => {
        this.acknowledged.add(told);
        this.#open.delete(one);
      });
    this.#open.add(one);
  }

  /** Resolves when every submit is answered. */
  async end(): Promise<void> {
    this.#going = false;
    await this.#all;
    await Promise.all(this.#open);
  }
}

/** Those of `all` that the other has not. Compared so, since a diff of a million ids would take hours. */
const missing = (all: ReadonlySet<string>, from: ReadonlySet<string>): string[] =>
  [...all].filter((id) => !from.has(id));

test(`kill -9 of the broker, ${kills} times under 2,000 submits a second, half of them while it starts: every acknowledged task is there, none twice`, {
  timeout: Math.max(600_000, kills * 5000),
}, async () => {
  const seed = Number(process.env.DEYE_SEED ?? Date.now() % 1e6);
  console.log(`seed ${seed}`);
  const random = { seed };
  const beganMs = performance.now();
  let tasks = 0;
  for (let left = kills; left > 0; left -= killsOfStore) tasks += await killed(Math.min(left, killsOfStore), random);
  console.log(`${tasks} tasks over ${kills} kills in ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
});

/** Kills the broker of a new store so many times; answers how many tasks it has then, which are the right ones. */
async function killed(count: number, random: { seed: number }): Promise<number> {
  await using world = new World();
  world.env.DEYE_LIMITS_PENDING_MAX = '10000000'; // they wait for no collector
  let broker: ChildProcess = world.spawn(...foreground);
  await world.ready();
  const client = await world.client({ reconnectPauseMsMax: () => 250 });
  const submits = new Submits(client);
  const { acknowledged, intended } = submits;
  const goesThrough = async (what: string): Promise<void> => {
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 50, `${what}: submits go through`);
  };
  // What the latest start took, so that kills meet every part of one.
  let [startMs, startedMs] = [500, performance.now()];
  for (let kill = 0; kill < count; kill++) {
    if (kill % 2 === 0) {
      await goesThrough(`kill ${kill}`);
      if (kill > 0) startMs = performance.now() - startedMs;
      await pause(nextRandom(random) * 150);
    } else await pause(nextRandom(random) * startMs);
    broker.kill('SIGKILL');
    await ended(broker);
    startedMs = performance.now();
    broker = world.spawn(...foreground);
  }
  await goesThrough('after the last kill');
  await submits.end();
  expect(missing(intended, acknowledged)).toEqual([]);
  await client.close();
  broker.kill('SIGKILL');
  await ended(broker);
  const store = journalStoreIn(`${world.state}/store`);
  const stored = Array.from((await store.load(loadAt(Date.now()))).tasks, ({ spec }) => spec.id);
  await store.close();
  const kept = new Set(stored);
  expect(kept.size).toBe(stored.length);
  expect(missing(acknowledged, kept)).toEqual([]);
  expect(missing(kept, intended)).toEqual([]);
  return stored.length;
}

test('kill -9 of the collector in the middle of a task: another has it within a second', async () => {
  await using world = new World();
  await world.broker();
  const work = (id: string) =>
    world.spawnScript(`
      import { defineCollector } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
      await defineCollector({ type: 't', operations: { hold: (task, { signal }) => new Promise((resolve) => { signal.addEventListener('abort', () => resolve('aborted')); if (task.attempt > 1) resolve(${JSON.stringify(id)}); }) } }).run({ id: ${JSON.stringify(id)}, onReady: () => console.log('ready') });
    `);
  const first = work('first');
  await world.said(first, 'ready');
  const client = await world.client();
  const { id, collector_id } = await client.submit({ operation: 'hold' });
  expect(collector_id).toBe('first');
  const second = work('second');
  await world.said(second, 'ready');
  const startMs = performance.now();
  first.kill('SIGKILL');
  const done = await client.wait(id);
  const tookMs = performance.now() - startMs;
  expect(done).toMatchObject({ state: 'completed', result: 'second', attempt: 2 });
  expect(done.attempts.map(({ outcome }) => outcome)).toEqual(['connection_lost', 'completed']);
  expect(done.attempts[1]!.started_at_ms - done.attempts[0]!.ended_at_ms).toBeLessThan(1000);
  console.log(`failover took ${tookMs.toFixed(1)} ms`);
  second.kill('SIGTERM');
  await ended(second);
  expect(second.exitCode).toBe(0);
  await client.close();
});

test('a broker that is killed and comes back: its collector keeps the task it holds', async () => {
  await using world = new World();
  const broker = await world.broker();
  const collector = world.spawnScript(`
    import { defineCollector } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
    let attempts = 0;
    await defineCollector({ type: 't', operations: { slow: () => { attempts++; return new Promise((resolve) => setTimeout(() => resolve({ attempts }), 2500)); } } }).run({ id: 'keeper', onReady: () => console.log('ready') });
  `);
  await world.said(collector, 'ready');
  const client = await world.client();
  const { id } = await client.submit({ operation: 'slow' });
  broker.kill('SIGKILL');
  await ended(broker);
  await world.broker();
  const done = await client.wait(id, { timeoutMs: 30_000 });
  expect(done).toMatchObject({ state: 'completed', attempt: 1, result: { attempts: 1 } });
  await client.close();
});

test('many brokers race for one directory: exactly one owner, and the others say who', {
  timeout: 120_000,
}, async () => {
  await using world = new World();
  const started = await Promise.all(
    Array.from({ length: 8 }, () => world.run(['broker', 'start', '--no-collectors', '--json'])),
  );
  const said = started.map(({ code, stdout, stderr }) => {
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as { pid: number; already_running: boolean };
  });
  expect(said.filter(({ already_running }) => !already_running)).toHaveLength(1);
  expect(new Set(said.map(({ pid }) => pid)).size).toBe(1);
});

test('out of descriptors: busy is said, sessions that are there go on, and room comes back', async () => {
  await using world = new World();
  const broker = world.shell(`ulimit -n 256; exec "$0" "$@"`, 'broker', 'start', '--foreground', '--no-collectors');
  await world.ready();
  const first = await world.client({ reconnect: false });
  const clients: Client[] = [];
  const refused: string[] = [];
  for (let at = 0; at < 300; at++) {
    const one = await world.client({ reconnect: false }).catch((error: { code: string }) => error.code);
    if (typeof one === 'string') refused.push(one);
    else clients.push(one);
  }
  expect(clients.length).toBe(256 - 64 - 4 - 1); // the reserve, room for one declared collector, and the first client
  expect(new Set(refused)).toEqual(new Set(['busy']));
  expect((await first.request('broker.health', {})).status).toBe('healthy');
  for (const client of clients) await client.close();
  const again = await world.client({ reconnect: false });
  await again.close();
  await first.close();
  broker.kill('SIGTERM');
  await ended(broker);
  expect(broker.exitCode).toBe(0);
});

test('a subscriber stopped by SIGSTOP is disconnected by name; the others are not held up for longer than the grace', async () => {
  await using world = new World();
  world.env.DEYE_LIMITS_SLOW_GRACE_MS = '500';
  await world.broker();
  const sleeper = world.spawn('tap', 'flood.*', '--json');
  const quick = await world.client();
  const messages = await quick.subscribe('flood.*', { bufferMax: 1_000_000 });
  const publisher = await world.client();
  await until(
    async () => (await publisher.publish('flood.test', 0, { confirm: true })).subscribers === 2,
    'both listen',
  );
  sleeper.kill('SIGSTOP');
  const body = 'x'.repeat(100_000);
  const acks = await Promise.all(
    Array.from({ length: 400 }, () => publisher.publish('flood.test', body, { confirm: true })),
  );
  expect(acks.at(-1)).toEqual({ subscribers: 1 });
  let heard = 0;
  for await (const message of messages) if (message.body === body && ++heard === 400) break;
  expect(messages.dropped).toBe(0);
  sleeper.kill('SIGKILL');
  await quick.close();
  await publisher.close();
});
