/** The checker itself: what it must notice, it notices. */
import { describe, expect, test } from 'vitest';
import { fault } from '../../src/protocol/fault.ts';
import { Kind } from '../../src/protocol/frame.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { CalleeFaults, Conversation } from './conversation.ts';
import { CommitLedger } from './ledger.ts';

const id = 70_000;
const taskId = '01890000-0000-7000-8000-000000000000';
const submitted = { id: taskId, state: 'pending', duplicate: false, sync: 'none' };

/** What is found wrong when the broker answers so, and what was spoken. */
function judged(
  request: readonly [target: string, method: string],
  answers: readonly (readonly unknown[])[],
  { role = 'operator', bytes = 100, ...options }: { role?: string; bytes?: number; ledger?: CommitLedger } = {},
): { wrong: string[]; spoken: string[] } {
  const [wrong, spoken]: [string[], string[]] = [[], []];
  const conversation = new Conversation({
    violation: (text) => wrong.push(text),
    spoken: (item) => spoken.push(item),
    calleeFaults: new CalleeFaults(),
    ...options,
  });
  conversation.sent([Kind.hello, { role }]);
  conversation.received([Kind.welcome, { limits: { frame_bytes_max: 1000 } }], 50);
  conversation.sent([Kind.request, id, ...request, {}, 0]);
  for (const answer of answers) conversation.received(answer, bytes);
  return { wrong, spoken };
}

const ok = (body: unknown) => [Kind.reply, id, 0, body];
const no = (body: unknown) => [Kind.reply, id, 1, body];
const submit = ['broker', 'task.submit'] as const;
const list = ['broker', 'task.list'] as const;
const show = ['broker', 'task.show'] as const;
const full = fault('queue_full', 'There are too many.');

test('what is right is spoken', () => {
  expect(judged(submit, [ok(submitted)])).toEqual({ wrong: [], spoken: ['task.submit ok'] });
  expect(judged(submit, [no(fault('queue_full', 'There are too many.'))])).toEqual({
    wrong: [],
    spoken: ['fault queue_full', 'task.submit queue_full'],
  });
  expect(judged(['w', 'shutdown'], [ok({ accepted: true })])).toEqual({
    wrong: [],
    spoken: ['shutdown ok', 'call ok'],
  });
  expect(judged(['w', 'x'], [no(fault('collector_gone', 'It went away.'))]).spoken).toContain('call collector_gone');
});

describe('what is wrong is a violation', () => {
  test.each<[string, readonly [string, string], readonly unknown[], RegExp]>([
    ['a field is missing', submit, ok({ id: 'x', state: 'pending' }), /does not fit its schema/],
    ['a field has another type', list, ok({ tasks: 'none' }), /does not fit its schema/],
    ['a field is not in the schema', submit, ok({ ...submitted, colour: 'red' }), /does not name: .colour/],
    ['one deep inside, too', list, ok({ tasks: [], cursor: '1', more: {} }), /does not name: .more/],
    ['a fault is not in the row', list, no(fault('queue_full', 'There are too many.')), /its row does not list/],
    ['a fault of a call is not one of them', ['w', 'x'], no(fault('queue_full', 'Too many wait.')), /does not list/],
    ['a fault is not in the table', list, no({ ...fault('cancelled', 'Cancelled.'), code: 'x' }), /not in the table/],
    [
      'a fault is not as in its row',
      list,
      no({ ...fault('not_allowed', 'Not you.'), retry: true }),
      /not as in its row/,
    ],
    ['a fault has no message', list, no(fault('not_allowed', 'no')), /no message/],
    ['a fault lacks its advice', submit, no({ ...full, message: 'There are too many.' }), /say what to do: There are/],
    ['a fault says what happened alone', show, no(fault('not_found', 'There is none.')), /say what to do: There is/],
    ['a reply carries what ends sessions', list, no(fault('busy', 'Very busy today.')), /ends sessions/],
    ['a goodbye carries what does not', list, [Kind.goodbye, fault('cancelled', 'It was cancelled.')], /does not end/],
    ['an ack carries another fault', list, [Kind.ack, 1, 0, fault('cancelled', 'It was so.')], /does not list/],
    ['a collector answers beside the row', ['w', 'shutdown'], ok({ accepted: 'yes' }), /shutdown does not fit/],
    ['a method is not in the table', ['broker', 'x'], ok({}), /was answered/],
    ['nobody asked', list, [Kind.reply, id + 1, 0, {}], /not open/],
    ['a chunk that nobody asked for', list, [Kind.chunk, id + 1, {}], /not open/],
  ])('%s', (_what, request, answer, why) => {
    expect(judged(request, [answer]).wrong).toContainEqual(expect.stringMatching(why));
  });

  test('two answers to one request', () => {
    expect(judged(list, [ok({ tasks: [] }), ok({ tasks: [] })]).wrong).toEqual([expect.stringMatching(/not open/)]);
  });

  test('an answer to a role that may not ask', () => {
    expect(judged(submit, [ok(submitted)], { role: 'observer' }).wrong).toEqual([
      expect.stringMatching(/answered to observer/),
    ]);
  });

  test('an outcome of a batch that no submit may have', () => {
    const { sync, ...accepted } = submitted;
    const outcomes = [accepted, fault('not_found', 'There is none. See: deye task ls')];
    expect(judged(['broker', 'task.submit_batch'], [ok({ outcomes, sync })]).wrong).toEqual([
      expect.stringMatching(/an outcome of task.submit_batch was refused with not_found/),
    ]);
  });

  test('a frame over the limit of the welcome', () => {
    expect(judged(list, [ok({ tasks: [] })], { bytes: 1001 }).wrong).toEqual([expect.stringMatching(/is over 1000/)]);
  });

  test('a durable answer before its commit', async () => {
    const ledger = new CommitLedger();
    const store = ledger.watch(new MemoryStore());
    const early = judged(submit, [ok(submitted)], { ledger });
    expect(early.wrong).toEqual([expect.stringMatching(/before its commit/)]);
    await store.commit([{ kind: 'setting', namespace: 'default', key: 'routing.strategy', value: 'random' }]);
    expect(
      judged(['broker', 'task.cancel'], [ok({ id: taskId, state: 'cancelled', sync: 'none' })], { ledger }).wrong,
    ).toEqual([expect.stringMatching(/is not committed as cancelled/)]);
  });
});

test('a refusal of a callee is its own, once for each time it gave it', () => {
  const calleeFaults = new CalleeFaults();
  const refusal = fault('queue_full', 'My own queue is full.');
  const wrong: string[] = [];
  const options = { violation: (text: string) => wrong.push(text), spoken: () => {}, calleeFaults };
  const [caller, callee] = [new Conversation(options), new Conversation(options)];
  for (let round = 0; round < 2; round++) {
    caller.sent([Kind.request, id, 'w', 'x', {}, 0]);
    if (round === 0) callee.sent([Kind.reply, id, 1, refusal]);
    caller.received([Kind.reply, id, 1, refusal], 100);
  }
  expect(wrong).toHaveLength(1);
});
