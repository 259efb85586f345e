import { afterAll, beforeAll, expect, test } from 'vitest';
import { defineCollector, type TaskDetail } from '../../src/index.ts';
import { World } from '../process/daemon.ts';

let world: World;
const stop = new AbortController();
let running: Promise<void>;
beforeAll(async () => {
  world = new World();
  const up = await world.run(['broker', 'start', '--no-collectors']);
  expect(up.code, up.stderr).toBe(0);
  const echo = defineCollector({ type: 'echo', operations: { echo: ({ payload }) => payload } });
  await new Promise<void>((onReady) => {
    running = echo.run({
      socket: world.socket,
      id: 'echo',
      signals: false,
      signal: stop.signal,
      onReady: () => onReady(),
    });
  });
});
afterAll(async () => {
  stop.abort();
  await running;
  await world[Symbol.asyncDispose]();
});

/** A task that ended, whose payload and result are a string of so many bytes. */
async function echoed(size: number): Promise<string> {
  await using client = await world.client();
  const { id } = await client.submit({ operation: 'echo', payload: 'x'.repeat(size) });
  await client.wait(id);
  return id;
}
const shown = async (...args: string[]): Promise<TaskDetail> =>
  JSON.parse((await world.run(['task', 'show', ...args, '--json'])).stdout) as TaskDetail;

test('small bodies are shown', async () => {
  const size = 600 * 1024;
  const task = await shown(await echoed(size));
  expect([task.payload, task.result].map((body) => (body as string).length)).toEqual([size, size]);
});

test('large ones are left out, with their size and how to get them; --full brings both, though one frame holds one', async () => {
  const size = 9 * 1024 * 1024;
  const id = await echoed(size);
  const task = await shown(id);
  expect(task).not.toHaveProperty('payload');
  expect(task).not.toHaveProperty('result');
  expect(task.payload_bytes).toBeGreaterThan(size);
  const { stdout } = await world.run(['task', 'show', id, '--socket', world.socket]);
  const how = `9.4 MB; see it with: deye task show ${id} --full --socket ${world.socket}`;
  expect(stdout).toMatch(new RegExp(`^payload +${how}$`, 'm'));
  expect(stdout).toContain(`result: ${how}`);
  const full = await shown(id, '--full');
  expect([full.payload, full.result].map((body) => (body as string).length)).toEqual([size, size]);
  expect((await world.run(['task', 'show', id, '--full'])).stdout.length).toBeGreaterThan(2 * size);
});

test('a task that was waited for is shown as by task show', async () => {
  const id = await echoed(10);
  expect((await world.run(['task', 'wait', id])).stdout).toMatch(/^payload +x{10}$/m);
  expect(JSON.parse((await world.run(['task', 'wait', id, '--json'])).stdout)).toMatchObject({
    payload: 'x'.repeat(10),
    result: 'x'.repeat(10),
  });
});
