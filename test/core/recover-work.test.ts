/**
 * A restart with 100,000 tasks, each with a name of its own: the work of folding them is counted, and grows with their
 * number and not faster. The time that it took is printed only, since it is the machine's.
 */
import { expect, test } from 'vitest';
import type { StoredTask } from '../../src/core/record.ts';
import { recover } from '../../src/core/recover.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { specOf, storedOf, TestCore } from './harness.ts';
import { workOf } from './work.ts';

const many = 100_000;
const limits = { operationsMax: many, pendingMax: many };
const wallMs = 1_800_000_000_000;

interface Restart {
  readonly core: TestCore;
  readonly work: number;
  readonly tookMs: number;
}

function restart(count: number, task: (at: number) => StoredTask, idsAhead: readonly string[] = []): Restart {
  const tasks = Array.from({ length: count }, (_, at) => task(at));
  const core = new TestCore({ wallMs, epoch: 2, ...limits });
  const stored = { tasks, settings: new Map(), nextSeq: count + 1, expiredBeforeMs: 0, newestId: undefined, idsAhead };
  const fromMs = performance.now();
  const work = workOf(() => recover(core.state, stored, core.now));
  return { core, work, tookMs: performance.now() - fromMs };
}

test.each<[string, (at: number) => StoredTask]>([
  ['operations', (at) => storedOf(at + 1, `t${at}`, { spec: specOf(`t${at}`, { operation: `o${at}` }) })],
  ['labels', (at) => storedOf(at + 1, `t${at}`, { spec: specOf(`t${at}`, { labels: { zone: `z${at}` } }) })],
  ['ids', (at) => storedOf(at + 1, `t${at}`)],
  [
    'ids that wait for a retry, the last one first',
    (at) => storedOf(at + 1, `t${at}`, { state: 'retrying', readyAtMs: wallMs + 1e6 - at, delayMs: 1e6 }),
  ],
  [
    'ids that are in progress',
    (at) => storedOf(at + 1, `t${at}`, { state: 'in_progress', attempt: 1, token: `1.${at}`, collectorId: `c${at}` }),
  ],
])('a restart with 100,000 %s', (what, task) => {
  const few = restart(many / 10, task);
  const { core, work, tookMs } = restart(many, task);
  console.log(`100,000 ${what}: ${(work / many).toFixed(1)} calls and ${((tookMs * 1000) / many).toFixed(1)} µs each`);
  expect(core.state.tasks.size).toBe(many);
  // Ten times as many; a heap that grows from its end by what goes first is log₂ 10 levels higher.
  expect(work).toBeLessThan(few.work * 10 * 1.3);
});

test('a restart with 100,000 ids that are ahead of the clock', () => {
  const ahead = (count: number) => Array.from({ length: count }, (_, at) => uuidv7(wallMs + 1e9 + at));
  const few = restart(1, () => storedOf(1, 't1'), ahead(many / 10));
  const { core, work } = restart(1, () => storedOf(1, 't1'), ahead(many));
  expect(core.state.ended.ahead.size).toBeLessThanOrEqual(10_000);
  expect(work).toBeLessThan(few.work * 10 * 1.1);
});
