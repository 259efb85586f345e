import { expect, test } from 'vitest';
import { Turn } from '../../src/broker/turn.ts';
import type { Input } from '../../src/core/input.ts';
import { newState } from '../../src/core/state.ts';
import { registrationSchema } from '../../src/protocol/schema.ts';
import { specOf } from '../conformance/records.ts';

const register: Input = {
  kind: 'register',
  to: { session: 1, id: 70_000 },
  registration: registrationSchema.parse({ collector_id: 'c', collector_type: 't', operations: [{ name: 'scan' }] }),
};
const id = '01a31800-0000-7000-8000-000000000001';
const submit: Input = { kind: 'submit', to: { session: 2, id: 70_000 }, specs: [specOf(id)], batch: false };

/** A turn whose core has a deadline: the collector's silence. */
function turnWithDeadline(): Turn {
  const turn = new Turn({
    core: { state: newState() },
    store: { commit: () => Promise.reject(new Error('full')), states: async () => new Map() },
    now: () => ({ monotonicMs: 0, wallMs: 0 }),
    wake: () => {},
    deliver: () => {},
    failed: () => {},
  });
  turn.enqueue(register);
  turn.run();
  expect(turn.nextMs).toBeLessThan(Number.POSITIVE_INFINITY);
  return turn;
}

test('nothing is due while nothing can be stepped, or the loop would wake again and again', async () => {
  const folding = turnWithDeadline();
  let fold = (): void => {};
  const folded = folding.refold(
    () =>
      new Promise((resolve) => {
        fold = () => resolve({ state: newState(), first: [register] });
      }),
  );
  expect(folding.nextMs).toBe(Number.POSITIVE_INFINITY);
  fold();
  await folded;
  folding.run();
  expect(folding.nextMs).toBeLessThan(Number.POSITIVE_INFINITY);

  const broken = turnWithDeadline();
  broken.enqueue(submit);
  broken.run();
  while (!broken.broken) await null;
  expect(broken.nextMs).toBe(Number.POSITIVE_INFINITY);
});
