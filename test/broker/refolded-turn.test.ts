/** A turn whose state is replaced, that may not answer, or that is broken. */
import { expect, test } from 'vitest';
import { type Core, Turn, type TurnOptions } from '../../src/broker/turn.ts';
import type { Input, Output } from '../../src/core/input.ts';
import { newState } from '../../src/core/state.ts';
import type { TaskState } from '../../src/protocol/state.ts';
import { endlessRoom, specOf } from '../conformance/records.ts';

const submitOf = (at: number): Input => ({
  kind: 'submit',
  to: { session: at, id: 70_000 },
  specs: [specOf(`01a31800-0000-7000-8000-00000000000${at}`)],
  batch: false,
});

function turnWith(options: Partial<TurnOptions> = {}) {
  const core: Core = { state: newState() };
  const answered: number[] = [];
  const deliver = (outputs: readonly Output[]): void => {
    for (const output of outputs) if (output.kind === 'reply') answered.push(output.to.session);
  };
  const errors: string[] = [];
  const turn = new Turn({
    core,
    store: { ...endlessRoom, commit: async () => {}, states: async () => new Map() },
    now: () => ({ monotonicMs: 0, wallMs: 1_800_000_000_000 }),
    wake: () => {},
    deliver,
    failed: ({ message }) => errors.push(message),
    ...options,
  });
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns++) {
      turn.run();
      await null;
    }
  };
  return { core, turn, answered, errors, settle };
}

test('what may not be answered is stepped and kept, and not delivered', async () => {
  let mayAnswer = false;
  const committed: number[] = [];
  const { core, turn, answered, settle } = turnWith({
    mayAnswer: () => mayAnswer,
    committed: (records) => committed.push(records),
  });
  turn.enqueue(submitOf(1));
  await settle();
  expect(core.state.tasks.size).toBe(1);
  expect(committed).toEqual([1]);
  expect(answered).toEqual([]);
  mayAnswer = true;
  turn.enqueue(submitOf(2));
  await settle();
  expect(answered).toEqual([2]);
});

test('inputs that wait while the state is replaced are noted in the new one only, and answered', async () => {
  const { core, turn, answered, settle } = turnWith();
  const [old, fresh] = [core.state, newState()];
  const folded = turn.refold(async () => {
    turn.enqueue(submitOf(1));
    turn.enqueue(submitOf(2));
    turn.run();
    expect(old.ended.lookUps.size).toBe(2);
    return { state: fresh, first: [] };
  });
  await folded;
  expect([old.ended.lookUps.size, fresh.ended.lookUps.size]).toEqual([0, 2]);
  await settle();
  expect(fresh.ended.lookUps.size).toBe(0);
  expect(fresh.tasks.size).toBe(2);
  expect(answered).toEqual([1, 2]);
});

test('a look-up that outlives its state is made again for the new one, and leaves nothing noted', async () => {
  const answers: (() => void)[] = [];
  const states = () => new Promise<ReadonlyMap<string, TaskState>>((resolve) => answers.push(() => resolve(new Map())));
  const { core, turn, answered, settle } = turnWith({ store: { ...endlessRoom, commit: async () => {}, states } });
  const [old, fresh] = [core.state, newState()];
  for (const state of [old, fresh]) state.ended.horizonMs = Number.MAX_SAFE_INTEGER;
  turn.enqueue(submitOf(1));
  turn.run();
  await turn.refold(async () => ({ state: fresh, first: [] }));
  expect(old.ended.lookUps.size).toBeGreaterThan(0);
  answers.shift()?.();
  await settle();
  expect(old.ended.lookUps.size).toBe(0);
  expect(answers).toHaveLength(1);
  expect(answered).toEqual([]);
  answers.shift()?.();
  await settle();
  expect(fresh.ended.lookUps.size).toBe(0);
  expect([old.tasks.size, fresh.tasks.size]).toEqual([0, 1]);
  expect(answered).toEqual([1]);
});

test('what was gathered for a look-up is found out for the new state, in order', async () => {
  const asked: (readonly string[])[] = [];
  const states = async (ids: readonly string[]) => {
    asked.push(ids);
    return new Map<string, TaskState>();
  };
  const { core, turn, answered, settle } = turnWith({ store: { ...endlessRoom, commit: async () => {}, states } });
  const [old, fresh] = [core.state, newState()];
  for (const state of [old, fresh]) state.ended.horizonMs = Number.MAX_SAFE_INTEGER;
  const from = (session: number, input: Input): Input => ({ ...input, to: { session, id: 70_000 } }) as Input;
  for (const at of [1, 2, 3]) turn.enqueue(from(at === 3 ? 1 : at, submitOf(at)));
  await turn.refold(async () => ({ state: fresh, first: [] }));
  expect([old.ended.lookUps.size, asked.length]).toEqual([0, 0]);
  await settle();
  expect(asked).toHaveLength(1);
  expect(fresh.ended.lookUps.size).toBe(0);
  expect([old.tasks.size, fresh.tasks.size]).toEqual([0, 3]);
  expect(answered).toEqual([1, 1, 2]);
});

test('a broken turn stays broken: its state is not replaced, and nothing is delivered any more', async () => {
  const commit = () => Promise.reject(new Error('full'));
  const { core, turn, answered, errors, settle } = turnWith({
    store: { ...endlessRoom, commit, states: async () => new Map() },
  });
  turn.enqueue(submitOf(1));
  await settle();
  expect([turn.broken, errors]).toEqual([true, ['full']]);
  const old = core.state;
  let folds = 0;
  await turn.refold(async () => {
    folds++;
    return { state: newState(), first: [submitOf(2)] };
  });
  await settle();
  expect([turn.broken, folds, core.state === old]).toEqual([true, 0, true]);
  expect(answered).toEqual([]);
});
