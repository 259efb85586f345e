/** What is handed in of an attempt, and when the broker last answered a heartbeat. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client } from '../../src/client/client.ts';
import { HeartbeatTimer } from '../../src/collector/heartbeat.ts';
import { RunningAttempts } from '../../src/collector/running-attempts.ts';
import type { Assignment } from '../../src/protocol/assignment.ts';
import { type FaultCode, FaultError, fault } from '../../src/protocol/fault.ts';
import { leaseOf } from './hosted.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const assignment = { ...leaseOf(1), operation: 'work' } as Assignment;

/** Runs the assignments; what was handed in, whose first answers are these refusals. */
async function handedIn(assignments: readonly Assignment[], refusals: readonly FaultCode[], work = vi.fn()) {
  const left = [...refusals];
  const methods: string[] = [];
  const request = async (method: string) => {
    methods.push(method);
    const code = left.shift();
    if (code !== undefined) throw new FaultError(fault(code, ''));
  };
  const attempts = new RunningAttempts({ work }, { publish: () => true, call: async () => undefined });
  const runs = assignments.map((one) => attempts.run(one, { request, state: 'connected' } as unknown as Client));
  await vi.runAllTimersAsync();
  await Promise.all(runs);
  expect(attempts.size).toBe(0);
  return methods;
}

test('a lease that is over is an answer: nothing more is handed in', async () => {
  for (const code of ['stale_lease', 'not_registered'] as const)
    expect(await handedIn([assignment], [code])).toEqual(['task.complete']);
});

test('a refusal that may pass is tried again; any other is the failure of the attempt', async () => {
  expect(await handedIn([assignment], ['store_failed', 'busy'])).toEqual(Array(3).fill('task.complete'));
  expect(await handedIn([assignment], ['payload_too_large'])).toEqual(['task.complete', 'task.fail']);
});

test('an attempt that comes twice is worked on once; the next attempt beside it', async () => {
  const work = vi.fn();
  const next = { ...assignment, token: 'next' };
  expect(await handedIn([assignment, assignment, next], [], work)).toEqual(['task.complete', 'task.complete']);
  expect(work).toHaveBeenCalledTimes(2);
});

test('only a heartbeat that was answered counts as such', async () => {
  let isAnswered = true;
  const timer = new HeartbeatTimer(async () => isAnswered);
  timer.start(1000);
  const startMs = Date.now();
  await vi.advanceTimersByTimeAsync(800);
  expect(timer.answeredAtMs - startMs).toBe(800);
  isAnswered = false;
  await vi.advanceTimersByTimeAsync(800);
  expect(timer.answeredAtMs - startMs).toBe(800);
  isAnswered = true;
  await vi.advanceTimersByTimeAsync(800);
  expect(timer.answeredAtMs - startMs).toBe(2400);
  timer.stop();
  await vi.advanceTimersByTimeAsync(8000);
  expect(timer.answeredAtMs - startMs).toBe(2400);
});
