/** A backup beside a broker under load: commits and completions go on, and what was acknowledged before it is in the copy. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { restoreBackup } from '../../src/archive/restore.ts';
import { verifyStore } from '../../src/archive/verify.ts';
import { type Client, connect, defineCollector } from '../../src/index.ts';
import { readManifest } from '../../src/store/manifest.ts';
import { until } from '../until.ts';
import { brokerOn } from './broker.ts';
import { Scratch } from './fixture.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

const double = ({ payload }: { readonly payload: unknown }): number => (payload as number[])[0]! * 2;

async function collecting(socket: string): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const collector = defineCollector({ type: 't', operations: { double } });
  const running = collector.run({ socket, id: 'c', signal: stop.signal, signals: false });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Submits tasks that are done at once, until it is stopped; counts what was acknowledged and what has ended. */
function load(client: Client): { readonly submitted: string[]; readonly ended: string[]; stop(): Promise<void> } {
  const [submitted, ended]: [string[], string[]] = [[], []];
  let isStopping = false;
  const worker = async (): Promise<void> => {
    for (let count = 0; !isStopping; count++) {
      const { id } = await client.submit({ operation: 'double', payload: [count, 'x'.repeat(2000)] });
      submitted.push(id);
      expect(await client.wait(id)).toMatchObject({ state: 'completed', result: count * 2 });
      ended.push(id);
    }
  };
  const workers = Array.from({ length: 4 }, worker);
  return {
    submitted,
    ended,
    async stop() {
      isStopping = true;
      await Promise.all(workers);
    },
  };
}

test('commits and completions go on; the copy runs what waited, and shows what had ended', async () => {
  const [original, to, restored] = [scratch.path(), scratch.path(), scratch.path()];
  const waiting: string[] = [];
  let before: string[];
  {
    await using broker = await brokerOn(original);
    await using client = await connect({ socket: broker.socket!, name: 'load' });
    await using _ = await collecting(broker.socket!);
    for (let count = 0; count < 20; count++)
      waiting.push((await client.submit({ operation: 'double', payload: [count], collector_id: 'later' })).id);
    const going = load(client);
    await until(() => going.ended.length > 40, 'it is under load');
    before = [...going.ended];
    const begun = going.submitted.length;
    const made = await client.request('store.backup', { directory: to });
    expect(going.submitted.length).toBeGreaterThan(begun + 3);
    expect(going.ended.length).toBeGreaterThan(before.length + 3);
    // It ends in the middle of a segment, which the broker goes on with.
    const segments = readdirSync(join(to, 'journal')).filter((name) => name.endsWith('.journal'));
    const last = segments.sort().at(-1)!;
    const { size } = statSync(join(original, 'journal', last));
    expect(statSync(join(to, 'journal', last)).size).toBeLessThan(size / 2);
    expect(made).toMatchObject({ sequence: readManifest(to).sequence, file_count: segments.length + 2 });
    const after = going.ended.length;
    await until(() => going.ended.length > after + 10, 'it goes on afterwards');
    await going.stop();
  }
  expect((await verifyStore(original, { isMoving: false })).findings).toEqual([]);
  await restoreBackup(to, restored);
  expect((await verifyStore(restored, { isMoving: false })).findings).toEqual([]);
  await using broker = await brokerOn(restored);
  await using client = await connect({ socket: broker.socket!, name: 'drill' });
  for (const id of before) expect(await client.show(id)).toMatchObject({ state: 'completed' });
  const stop = new AbortController();
  const running = defineCollector({ type: 't', operations: { double } }).run({
    ...{ socket: broker.socket!, id: 'later', signal: stop.signal, signals: false },
  });
  for (const [count, id] of waiting.entries())
    expect(await client.wait(id)).toMatchObject({ state: 'completed', result: count * 2, attempt: 1 });
  stop.abort();
  await running;
});
