/** When a collector whose id is taken tries again. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RequestNow } from '../../src/client/client.ts';
import { register, registrationOf } from '../../src/collector/registration.ts';
import { type FaultCode, FaultError, fault } from '../../src/protocol/fault.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

const registration = registrationOf('c', { type: 't', operations: {} }, { status: 'healthy', status_reason: '' }, []);

/** How many requests it made until it was let in after so many refusals, or the code it ended with. */
async function tries(refusals: number, code: FaultCode, pid: number) {
  const request = vi.fn(async () => {
    if (request.mock.calls.length <= refusals) throw new FaultError(fault(code, '', { pid }));
    return {};
  });
  const ended = register(request as RequestNow, registration).then(
    () => 'registered',
    (error: FaultError) => error.code,
  );
  const startedMs = Date.now();
  await vi.runAllTimersAsync();
  return [await ended, request.mock.calls.length, Date.now() - startedMs];
}

test('held by its own lost connection: until the broker notices, for ten seconds at most', async () => {
  expect(await tries(3, 'id_taken', process.pid)).toEqual(['registered', 4, 750]);
  expect(await tries(40, 'id_taken', process.pid)).toEqual(['registered', 41, 10_000]);
  expect(await tries(41, 'id_taken', process.pid)).toEqual(['id_taken', 41, 10_000]);
});

test('held by another process: not at all, unless a supervisor started both', async () => {
  expect(await tries(1, 'id_taken', process.pid + 1)).toEqual(['id_taken', 1, 0]);
  vi.stubEnv('DEYE_SUPERVISED', '1');
  expect(await tries(1, 'id_taken', process.pid + 1)).toEqual(['registered', 2, 250]);
});

test('refused for another reason: not at all', async () => {
  expect(await tries(1, 'not_allowed', process.pid)).toEqual(['not_allowed', 1, 0]);
});
