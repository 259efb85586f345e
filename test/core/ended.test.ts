import { expect, test, vi } from 'vitest';
import type { Output } from '../../src/core/input.ts';
import { noFacts, prefetch } from '../../src/core/prefetch.ts';
import { recover } from '../../src/core/recover.ts';
import { newState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { fault } from '../../src/protocol/fault.ts';
import { uuidv7 } from '../../src/protocol/uuid.ts';
import { uuidTimeMs } from '../../src/protocol/uuid-time.ts';
import { specOf } from '../conformance/records.ts';

const nowMs = 1_800_000_000_000;
const now = { monotonicMs: 0, wallMs: nowMs };
const to = { session: 1, id: 1 };
const submitOf = (id: string) => ({ kind: 'submit', to, specs: [specOf(id)], batch: false }) as const;

function ending(endedIdsMax: number) {
  const state = newState();
  Object.assign(state, { limits: { ...state.limits, endedIdsMax } });
  const end = (id: string): void => {
    const out: Output[] = [];
    step(state, submitOf(id), now, out);
    step(state, { kind: 'cancel', to, id, reason: '' }, now, out);
  };
  return { state, end };
}

test('an ended id that leaves memory is looked up before it is submitted again; a new one is not', () => {
  const { state, end } = ending(10);
  const first = uuidv7(nowMs);
  end(first);
  for (let at = 0; at < 10; at++) end(uuidv7(nowMs + 1));
  expect(state.ended.states.has(first)).toBe(false);
  expect(state.ended.states.size).toBe(10);
  expect(prefetch(state, submitOf(first))?.ids).toEqual([first]);
  expect(prefetch(state, submitOf(uuidv7(nowMs + 2)))).toBeUndefined();
});

test('one id from far ahead of the clock does not make every later submit a look-up', () => {
  const { state, end } = ending(10);
  const ahead = 'ffffffff-ffff-7d43-9b1f-2f6f6d1c9a10';
  end(ahead);
  for (let at = 0; at < 20; at++) end(uuidv7(nowMs));
  expect(state.ended.states.has(ahead)).toBe(false);
  expect(prefetch(state, submitOf(ahead))?.ids).toEqual([ahead]);
  expect(prefetch(state, submitOf(uuidv7(nowMs + 1)))).toBeUndefined();
});

test('so many ids from ahead that they are not remembered one by one: every submit is looked up, none is missed', () => {
  const { state, end } = ending(0);
  for (let at = 0; at <= 10_000; at++) end(uuidv7(nowMs + 1_000_000 + at));
  expect(state.ended.ahead.size).toBeLessThanOrEqual(10_000);
  expect(prefetch(state, submitOf(uuidv7(nowMs + 1_000_005)))).toBeDefined();
  expect(prefetch(state, submitOf(uuidv7(nowMs + 1)))).toBeDefined();
});

test('what ended while a look-up is under way stays in memory until that has been stepped', () => {
  const { state, end } = ending(1);
  const old = uuidv7(nowMs - 5);
  end(old);
  end(uuidv7(nowMs));
  const between = uuidv7(nowMs);
  const lookUp = prefetch(state, submitOf(old))!;
  end(between);
  for (let at = 0; at < 5; at++) end(uuidv7(nowMs));
  expect(state.ended.states.has(between)).toBe(true);
  lookUp[Symbol.dispose]();
  end(uuidv7(nowMs));
  expect(state.ended.states.has(between)).toBe(false);
  expect(state.ended.states.size).toBe(1);
});

test('as many go as come: nothing is walked through, and the queue of ids does not grow', () => {
  const { state, end } = ending(100);
  const walks = (['entries', 'keys', 'values', 'forEach', Symbol.iterator] as const).map((walk) =>
    vi.spyOn(state.ended.states, walk),
  );
  const ids = Array.from({ length: 1000 }, (_, at) => uuidv7(nowMs - 1000 + at));
  for (const id of ids) {
    end(id);
    expect(state.ended.ids.length).toBeLessThanOrEqual(202);
  }
  for (const walk of walks) expect(walk).not.toHaveBeenCalled();
  expect(state.ended.ids.slice(state.ended.first)).toEqual(ids.slice(-100));
  expect(ids.filter((id) => state.ended.states.has(id))).toEqual(ids.slice(-100));
});

test('facts from the store answer a repeated submit', () => {
  const { state } = ending(10);
  const out: Output[] = [];
  const id = uuidv7(nowMs);
  step(state, submitOf(id), now, out, { ...noFacts, ended: new Map([[id, 'completed' as const]]) });
  expect(out).toMatchObject([{ kind: 'reply', outcome: { result: { id, state: 'completed', duplicate: true } } }]);
  expect(state.tasks.size).toBe(0);
});

test('a look-up is for what a submit brings and memory does not hold', () => {
  const { state, end } = ending(1);
  const [old, newer] = [uuidv7(nowMs - 9), uuidv7(nowMs - 5)];
  end(old);
  end(newer);
  const waiting = uuidv7(nowMs - 20);
  step(state, submitOf(waiting), now, []);
  const other = uuidv7(nowMs - 30);
  const specs = [old, newer, waiting, uuidv7(nowMs), other].map((id) => specOf(id));
  expect(state.ended.horizonMs).toBe(nowMs - 9);
  const lookUp = prefetch(state, { kind: 'submit', to, specs: [fault('invalid_params', ''), ...specs], batch: true });
  expect(lookUp?.ids).toEqual([old, other]);
  expect([...state.ended.lookUps]).toEqual([{ since: 2 }]);
  lookUp?.[Symbol.dispose]();
  expect(state.ended.lookUps.size).toBe(0);
  expect(prefetch(state, { kind: 'cancel', to, id: old, reason: '' })).toBeUndefined();
});

test('the horizon is the latest that left memory, exactly', () => {
  const { state, end } = ending(0);
  for (const at of [5, 9, 2]) end(uuidv7(nowMs - at));
  expect(state.ended.horizonMs).toBe(nowMs - 2);
  end(uuidv7(nowMs - 7));
  expect(state.ended.horizonMs).toBe(nowMs - 2);
  end(uuidv7(nowMs));
  expect([state.ended.horizonMs, state.ended.ahead.size]).toEqual([nowMs, 0]);
  end(uuidv7(nowMs + 1));
  expect([state.ended.horizonMs, state.ended.ahead.size]).toEqual([nowMs, 1]);
});

test('exactly so many ids from ahead are remembered one by one', () => {
  const { state, end } = ending(0);
  for (let at = 1; at <= 10_000; at++) end(uuidv7(nowMs + at));
  expect([state.ended.ahead.size, state.ended.horizonMs]).toEqual([10_000, 0]);
  end(uuidv7(nowMs + 5));
  expect([state.ended.ahead.size, state.ended.horizonMs]).toEqual([0, nowMs + 10_000]);
});

test('what ended before the oldest look-up began may go; the look-ups end in any order', () => {
  const { state, end } = ending(1);
  end(uuidv7(nowMs - 50));
  end(uuidv7(nowMs - 40));
  const [one, other] = [prefetch(state, submitOf(uuidv7(nowMs - 60)))!, prefetch(state, submitOf(uuidv7(nowMs - 60)))!];
  for (let at = 0; at < 3; at++) end(uuidv7(nowMs));
  expect(state.ended.states.size).toBe(3);
  one[Symbol.dispose]();
  end(uuidv7(nowMs));
  expect(state.ended.states.size).toBe(4);
  other[Symbol.dispose]();
  end(uuidv7(nowMs));
  expect(state.ended.states.size).toBe(1);
});

test('UUIDv7: valid, in the order of time, with the time in it', () => {
  const ids = Array.from({ length: 1000 }, (_, at) => uuidv7(nowMs + at));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(Array.from({ length: 5000 }, () => uuidv7(nowMs))).size).toBe(5000);
  for (const [at, id] of ids.entries()) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uuidTimeMs(id)).toBe(nowMs + at);
  }
});

test('what was kept for a look-up leaves memory at the next step after it', () => {
  const { state, end } = ending(2);
  const first = uuidv7(nowMs);
  for (const id of [first, uuidv7(nowMs + 1), uuidv7(nowMs + 2)]) end(id);
  const lookUp = prefetch(state, submitOf(first))!;
  for (let at = 0; at < 5; at++) end(uuidv7(nowMs + 3 + at));
  expect(state.ended.states.size).toBe(5);
  lookUp[Symbol.dispose]();
  step(state, { kind: 'tick' }, now, []);
  expect(state.ended.states.size).toBe(2);
});

test('an id from before the start is looked up, also when the clock is set back while the store is loaded', () => {
  const state = newState();
  const newestId = uuidv7(nowMs);
  const kept = { tasks: [], settings: new Map(), nextSeq: 2, expiredBeforeMs: 0, newestId, idsAhead: [] };
  recover(state, kept, { monotonicMs: 0, wallMs: nowMs - 3_600_000 });
  expect(prefetch(state, submitOf(newestId))?.ids).toEqual([newestId]);
});
