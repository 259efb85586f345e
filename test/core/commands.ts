/** Random inputs for the model test, in terms that mean something in every sequence: slots of sessions, latest tasks. */
import fc from 'fast-check';
import type { TaskSpec } from '../../src/core/task.ts';
import type { RegistrationParsed } from '../../src/protocol/collector-schema.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';

// Short spans, so that everything comes due. Those of tasks are whole, those of collectors end in .5 and those of waits
// in .25: two kinds are never due at once, whose order would not be defined.
export const limits = {
  ...defaultLimits,
  leaseMs: 40,
  heartbeatMs: 45,
  cancelGraceMs: 5,
  waitMsMax: 30.25,
  waitsMax: 2,
  pendingMax: 12,
  collectorTasksMax: 3,
  outboundBytesMax: 4,
  classesMax: 2,
};
export const slots = 4;

const operations = ['scan', 'hash', 'watch'];
const slot = fc.nat(slots - 1);
const pick = <const T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
/** The first value mostly. */
const mostly = <const T>(usual: T, ...others: T[]): fc.Arbitrary<T> => pick(usual, usual, usual, ...others);
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
const status = mostly<RegistrationParsed['status']>('healthy', 'degraded', 'stopped');

const changes: fc.Arbitrary<Partial<TaskSpec>> = fc.record({
  operation: fc.constantFrom(...operations),
  priority: pick(10, 100, 100, 200),
  requires: mostly<string[]>([], ['gpu']),
  labels: mostly<Record<string, string>>({}, { zone: 'a' }),
  collectorType: mostly<string | undefined>(undefined, 'deep'),
  collectorId: mostly<string | undefined>(undefined, undefined, 'c1'),
  maxRetries: fc.nat(3),
  timeoutMs: pick(20, 1000),
  backoffBaseMs: fc.constant(0),
});

const registration = fc.record({
  operations: fc.subarray(operations, { minLength: 2 }).map((some) => some.map((name) => ({ name }))),
  priority_levels: mostly<[number, number][]>(
    [[0, 255]],
    [[0, 150]],
    [
      [50, 99],
      [200, 255],
    ],
  ),
  max_concurrent_tasks: pick(1, 2, 4),
  capabilities: pick<string[]>([], ['gpu']),
  labels: pick<Record<string, string>>({}, { zone: 'a' }),
  collector_type: pick('sim', 'deep'),
  weight: pick(1, 2, 5),
  status,
});

const some = <K extends string, T>(weight: number, kind: K, values: { [N in keyof T]: fc.Arbitrary<T[N]> }) => ({
  weight,
  arbitrary: fc.record({ kind: fc.constant(kind), ...values }) as fc.Arbitrary<{ kind: K } & T>,
});
/** A lease, counted back from the latest: among those that are held, or among all there ever were. */
const lease = { which: fc.nat(4), live: mostly(true, false) };

const command = fc.oneof(
  some(6, 'submit', { specs: fc.array(changes, { minLength: 1, maxLength: 4 }), again: rarely(fc.nat(9)) }),
  some(6, 'register', { slot, as: rarely(slot), registration }),
  some(8, 'complete', { ...lease, by: rarely(slot) }),
  some(5, 'fail', { ...lease, next: mostly('retry', 'elsewhere', 'give_up'), afterMs: pick(0, 3, 40) }),
  some(6, 'heartbeat', { slot, leaves: fc.nat(3), stale: rarely(fc.nat(9)), status }),
  some(4, 'bytes_read', { slot, bytes: fc.nat(4) }),
  some(2, 'cancel', { which: fc.nat(9) }),
  some(1, 'deregister', { slot, force: fc.boolean() }),
  some(1, 'session_closed', { slot }),
  some(2, 'wait', { slot, request: fc.nat(3), which: fc.nat(9), timeoutMs: pick(5.25, 1000.25) }),
  some(1, 'cancel_wait', { slot, request: fc.nat(3) }),
  some(1, 'route', {
    strategy: pick('least_loaded', 'round_robin', 'first_available', 'weighted'),
    operation: pick(undefined, ...operations),
  }),
  some(2, 'tick', {}),
);
export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

export const commands = fc.array(fc.record({ command, afterMs: pick(0, 0, 0, 0, 0, 0, 1, 3, 8, 16) }), {
  maxLength: 60,
  size: 'max',
});
