import { expect, test } from 'vitest';
import { newState, type Output } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { uuidTimeMs, uuidv7 } from '../../src/protocol/uuid.ts';
import { specOf } from '../conformance/records.ts';

const nowMs = 1_800_000_000_000;

test('an ended id that leaves memory is known to be forgotten, by the time in it, even when its clock ran ahead', () => {
  const state = newState();
  const end = (id: string): void => {
    const out: Output[] = [];
    const to = { session: 1, id: 1 };
    step(state, { kind: 'submit', to, specs: [specOf(id)], batch: false }, nowMs, out);
    step(state, { kind: 'cancel', to, id, reason: '' }, nowMs, out);
  };
  const ahead = uuidv7(nowMs + 30_000);
  end(ahead);
  expect(state.ended.has(ahead)).toBe(true);
  for (let at = 0; at < 20_000; at++) end(uuidv7(nowMs));
  expect(state.ended.has(ahead)).toBe(false);
  expect(state.ended.size).toBe(20_000);
  expect(state.dedupeHorizonMs).toBeGreaterThanOrEqual(uuidTimeMs(ahead));
  expect(state.tasks.size).toBe(0);
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
