import { expect, test } from 'vitest';
import { Turn } from '../../src/broker/turn.ts';
import type { Input, Output } from '../../src/core/input.ts';
import { newState } from '../../src/core/state.ts';
import { registrationSchema } from '../../src/protocol/collector-schema.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { endlessRoom, specOf } from '../conformance/records.ts';

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
    store: { ...endlessRoom, commit: () => Promise.reject(new Error('full')), states: async () => new Map() },
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

const ids = ['a', 'b', 'c'].map((name) => `01a31800-0000-7000-8000-00000000000${name}`);
const submitOf = (at: number, session: number): Input => ({
  kind: 'submit',
  to: { session, id: 70_000 },
  specs: [specOf(ids[at]!)],
  batch: false,
});
const cancelOf = (at: number): Input => ({ kind: 'cancel', to: { session: 9, id: 70_000 }, id: ids[at]!, reason: '' });

/** A store whose commits take effect when they are let go, and a core that remembers one ended task. */
function turnOverHeldStore() {
  const store = new MemoryStore();
  const asked: string[] = [];
  const held: (() => void)[] = [];
  const replies: unknown[] = [];
  const turn = new Turn({
    core: { state: newState({ limits: { ...defaultLimits, endedIdsMax: 1 } }) },
    store: {
      ...endlessRoom,
      commit: (records) => {
        asked.push('commit');
        const done = store.commit(records);
        return new Promise((resolve) => held.push(() => resolve(done)));
      },
      states: (wanted) => {
        asked.push('states');
        return store.states(wanted);
      },
    },
    now: () => ({ monotonicMs: 0, wallMs: 1_800_000_000_000 }),
    wake: () => {},
    deliver: (outputs) => {
      for (const output of outputs) if (output.kind === 'reply') replies.push(outcomeOf(output));
    },
    failed: (error) => replies.push(error),
  });
  const run = (...inputs: Input[]): void => {
    for (const input of inputs) turn.enqueue(input);
    turn.run();
  };
  const settle = async (): Promise<void> => {
    for (let times = 0; times < 20; times++) {
      held.shift()?.();
      for (let turns = 0; turns < 5; turns++) await null;
      turn.run();
    }
  };
  return { run, settle, replies, asked };
}

const outcomeOf = ({ to, outcome }: Extract<Output, { kind: 'reply' }>): unknown =>
  to.session === 9 ? 'cancelled' : 'result' in outcome ? outcome.result : outcome;

test('a submit is a duplicate when the task leaves memory just before it is stepped', async () => {
  const { run, settle, replies } = turnOverHeldStore();
  run(submitOf(0, 1), submitOf(1, 1), cancelOf(0));
  await settle();
  replies.length = 0;
  run(cancelOf(1), submitOf(0, 2));
  await settle();
  expect(replies).toEqual(['cancelled', { id: ids[0], state: 'cancelled', duplicate: true }]);
});

test('a look-up in the store sees what was stepped before it and is not written yet', async () => {
  const { run, settle, replies, asked } = turnOverHeldStore();
  run(submitOf(2, 1));
  // These wait for the commit that is under way; the first leaves memory when the second ends.
  run(submitOf(0, 1), submitOf(1, 1), cancelOf(0), cancelOf(1));
  run(submitOf(0, 2));
  await settle();
  expect(asked).toEqual(['commit', 'commit', 'states']);
  expect(replies.at(-1)).toEqual({ id: ids[0], state: 'cancelled', duplicate: true });
});

/** A core for which every id may be an old one, over a store that counts what it is asked. */
function turnOfOldIds() {
  const store = new MemoryStore();
  const asked: string[] = [];
  const replies: string[] = [];
  const state = newState();
  state.ended.horizonMs = Number.MAX_SAFE_INTEGER;
  const turn = new Turn({
    core: { state },
    store: {
      ...endlessRoom,
      commit: (records) => {
        asked.push(`commit ${records.length}`);
        return store.commit(records);
      },
      states: (wanted) => {
        asked.push(`states ${wanted.length}`);
        return store.states(wanted);
      },
    },
    now: () => ({ monotonicMs: 0, wallMs: 1_800_000_000_000 }),
    wake: () => {},
    deliver: (outputs) => {
      for (const output of outputs) if (output.kind === 'reply') replies.push(`${output.to.session} ${output.to.id}`);
    },
    failed: (error) => replies.push(error.message),
  });
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 50; turns++) {
      turn.run();
      await null;
    }
  };
  return { turn, state, asked, replies, settle };
}

const oldId = (at: number): string => `01a31800-0000-7000-8000-${at.toString(16).padStart(12, '0')}`;
const oldSubmit = (session: number, id: number, at: number): Input => ({
  kind: 'submit',
  to: { session, id },
  specs: [specOf(oldId(at))],
  batch: false,
});

test('old ids of one pass cost one look-up and one commit, whoever they come from; each session in its order', async () => {
  const { turn, state, asked, replies, settle } = turnOfOldIds();
  for (let at = 0; at < 300; at++) turn.enqueue(oldSubmit(at % 3, 70_000 + at, at));
  turn.enqueue({ kind: 'read', to: { session: 0, id: 80_000 }, read: () => ({ result: state.tasks.size }) });
  await settle();
  expect(asked).toEqual(['states 300', 'commit 300']);
  for (const session of [0, 1, 2]) {
    const own = replies.filter((one) => one.startsWith(`${session} `));
    expect(own).toEqual([...own].sort());
    expect(own).toHaveLength(session === 0 ? 101 : 100);
  }
  expect(state.ended.lookUps.size).toBe(0);
});

test('what comes while a look-up is under way shares the next one; a known id is a duplicate in either', async () => {
  const { turn, state, asked, replies, settle } = turnOfOldIds();
  turn.enqueue(oldSubmit(1, 70_000, 0));
  turn.enqueue(oldSubmit(1, 70_001, 0));
  turn.run();
  for (let at = 1; at <= 100; at++) turn.enqueue(oldSubmit(1, 70_001 + at, at));
  await settle();
  expect(asked).toEqual(['states 1', 'states 100', 'commit 1', 'commit 100']);
  expect(replies).toEqual(Array.from({ length: 102 }, (_, at) => `1 ${70_000 + at}`));
  expect([state.tasks.size, state.ended.lookUps.size]).toEqual([101, 0]);
});

test('very many ids are asked for a thousand at a time', async () => {
  const { turn, asked, settle } = turnOfOldIds();
  for (let at = 0; at < 2500; at++) turn.enqueue(oldSubmit(at, 70_000, at));
  await settle();
  expect(asked).toEqual(['states 1000', 'states 1000', 'states 500', 'commit 2500']);
});
