import { expect, test } from 'vitest';
import type { Expired } from '../../src/core/expire.ts';
import type { Output } from '../../src/core/input.ts';
import { newState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { caller, outcomeOf, specOf } from './harness.ts';

const now = { monotonicMs: 0, wallMs: 1_800_000_000_000 };

function scene() {
  const state = newState();
  const stepped = (...[input]: [Parameters<typeof step>[1], ...unknown[]]): Output[] => {
    const out: Output[] = [];
    step(state, input, now, out);
    return out;
  };
  return {
    state,
    expire: (expired: Partial<Expired>) =>
      stepped({
        ...{ kind: 'expire', run: () => {}, skipped: () => {} },
        expired: { tasks: [], bodies: [], beforeMs: 0, ...expired },
      }),
    submit: (id: string) =>
      outcomeOf(stepped({ kind: 'submit', to: caller, specs: [specOf(id)], batch: false })) as {
        code?: string;
        result?: { duplicate: boolean };
      },
    cancel: (id: string) => stepped({ kind: 'cancel', to: caller, id, reason: '' }),
  };
}

test('the mark rises before anything is deleted, in the same step, and then it is said to be done', () => {
  const { state, expire } = scene();
  const records = (out: readonly Output[]) => out.map((one) => (one.kind === 'record' ? one.record : one.kind));
  expect(records(expire({ tasks: [1, 2], beforeMs: 7 }))).toEqual([
    { kind: 'expired', beforeMs: 7 },
    { kind: 'purged', seqs: [1, 2] },
    'settled',
  ]);
  expect(records(expire({ tasks: [3], beforeMs: 7 }))).toEqual([{ kind: 'purged', seqs: [3] }, 'settled']);
  expect(records(expire({ bodies: [4], beforeMs: 0 }))).toEqual([{ kind: 'trimmed', seqs: [4] }, 'settled']);
  expect(state.expiredBeforeMs).toBe(7);
});

test('an id from before the mark is refused, to the millisecond, unless its task is known', () => {
  const { expire, submit, cancel } = scene();
  const [waiting, ended] = [uuidv7(now.wallMs - 500), uuidv7(now.wallMs - 400)];
  for (const id of [waiting, ended]) expect(submit(id).result?.duplicate).toBe(false);
  cancel(ended);
  expire({ tasks: [9], beforeMs: now.wallMs - 100 });
  for (const id of [waiting, ended]) expect(submit(id).result?.duplicate).toBe(true);
  expect(submit(uuidv7(now.wallMs - 101)).code).toBe('id_expired');
  expect(submit(uuidv7(now.wallMs - 100)).result?.duplicate).toBe(false);
});

test('as long as nothing was deleted, no id is too old', () => {
  expect(scene().submit('00000000-0000-7000-8000-000000000000').result?.duplicate).toBe(false);
});
