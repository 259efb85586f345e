import { describe, expect, test } from 'vitest';
import { type Collector, newCollector } from '../../src/core/collector.ts';
import {
  acceptsPriority,
  couldServe,
  type Demand,
  mismatch,
  type Reason,
  reasonText,
  refusal,
  unavailable,
} from '../../src/core/match.ts';
import { submittedTask } from '../../src/core/replay.ts';
import { newTask } from '../../src/core/task.ts';
import { collectorStatuses, type RegistrationParsed } from '../../src/protocol/collector-schema.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { registrationOf, specOf } from './harness.ts';
import { play } from './transcript.ts';

const limits = { ...defaultLimits, collectorTasksMax: 3, outboundBytesMax: 100 };
const collectorOf = (registration: Partial<RegistrationParsed> = {}, changes: Partial<Collector> = {}): Collector =>
  Object.assign(
    newCollector(
      registrationOf('a', {
        collector_type: 'deep',
        capabilities: ['process', 'network'],
        labels: { zone: 'x', arch: 'arm' },
        priority_levels: [
          [10, 20],
          [30, 40],
        ],
        ...registration,
      }),
      1,
      { monotonicMs: 0, wallMs: 0 },
    ),
    changes,
  );
const demandOf = (changes: Partial<Demand> = {}): Demand => ({
  operation: { name: 'scan' },
  requires: [],
  labels: {},
  collectorType: undefined,
  collectorId: undefined,
  excluded: [],
  ...changes,
});
const holding = (count: number): Partial<Collector> => ({
  tasks: new Map(
    Array.from({ length: count }, (_, at) => [
      `t${at}`,
      newTask(submittedTask({ seq: at, spec: specOf(`t${at}`), submittedAtMs: 0 })),
    ]),
  ),
});

test('in a transcript', () => {
  play(`
      0s A joins: scan label zone=a levels 0-99
      → A joined
      0s B joins: scan having process+kernel_level type deep
      → B joined
      0s submit t1 scan requires process+kernel_level
      → t1 to B (1)
      → t1 in_progress
      0s submit t2 scan requires gpu
      → t2 pending at 0, nobody can
      0s submit t3 scan label zone=a
      → t3 pending at 0, nobody can
      0s submit t4 scan label zone=a priority low
      → t4 to A (1)
      → t4 in_progress
      0s submit t5 scan only B
      → t5 pending at 0
      0s submit t6 scan type deep
      → t6 pending at 0
      1s B completes t1#1
      → t1 completed
      → t5 to B (1)
  `);
});

/** Every reason, in the order in which it is given; `true`: time alone may lift it. */
const reasons: Record<Reason, boolean> = {
  operation: false,
  collector_type: false,
  collector_id: false,
  capability: false,
  label: false,
  excluded: false,
  priority: false,
  status: true,
  credit: true,
  unread: true,
};

/** What makes each reason, the words for it, and a change that takes it away. */
const table: readonly {
  reason: Reason;
  collector?: Collector;
  demand?: Partial<Demand>;
  priority?: number;
  text: string;
}[] = [
  { reason: 'operation', demand: { operation: { name: 'hash' } }, text: 'does not offer hash' },
  { reason: 'collector_type', demand: { collectorType: 'flat' }, text: 'is of type deep, not flat' },
  { reason: 'collector_id', demand: { collectorId: 'b' }, text: 'is not the pinned collector b' },
  { reason: 'capability', demand: { requires: ['process', 'gpu', 'disk'] }, text: 'lacks the capability gpu' },
  {
    reason: 'label',
    demand: { labels: { zone: 'x', arch: 'x86' } },
    text: 'has the label arch=arm, not arch=x86',
  },
  { reason: 'label', demand: { labels: { tier: '1', arch: 'x86' } }, text: 'lacks the label tier=1' },
  { reason: 'label', demand: { labels: { tier: '1' } }, text: 'lacks the label tier=1' },
  { reason: 'label', demand: { labels: { constructor: 'x' } }, text: 'lacks the label constructor=x' },
  { reason: 'excluded', demand: { excluded: ['b', 'a'] }, text: 'asked not to get it again' },
  { reason: 'priority', priority: 9, text: 'does not accept priority 9' },
  { reason: 'priority', priority: 21, text: 'does not accept priority 21' },
  { reason: 'priority', priority: 41, text: 'does not accept priority 41' },
  {
    reason: 'status',
    collector: collectorOf({}, { status: 'failing', reason: 'no pulse' }),
    text: 'is failing (no pulse)',
  },
  { reason: 'status', collector: collectorOf({}, { status: 'draining', reason: '' }), text: 'is draining' },
  { reason: 'credit', collector: collectorOf({}, holding(1)), text: 'holds 1 task, its limit' },
  {
    reason: 'credit',
    collector: collectorOf({ max_concurrent_tasks: 9 }, holding(3)),
    text: 'holds 3 tasks, its limit',
  },
  {
    reason: 'unread',
    collector: collectorOf({}, { unreadBytes: 101 }),
    text: 'has not read the tasks that were sent to it',
  },
];

describe('each reason, and its words', () => {
  test.each(table)('$reason: $text', ({ reason, collector = collectorOf(), demand, priority = 10, text }) => {
    const wanted = demandOf(demand);
    expect(refusal(collector, wanted, priority, limits)).toBe(reason);
    expect(reasonText(reason, collector, wanted, priority)).toBe(text);
    // Only what time cannot lift stands in the way of serving it ever.
    expect(couldServe(collector, wanted, priority)).toBe(reasons[reason]);
  });

  test('none when all fits, exactly at every limit', () => {
    const fitting = demandOf({
      collectorType: 'deep',
      collectorId: 'a',
      requires: ['network', 'process'],
      labels: { zone: 'x' },
      excluded: ['b'],
    });
    for (const priority of [10, 20, 30, 40]) expect(refusal(collectorOf(), fitting, priority, limits)).toBeUndefined();
    expect(refusal(collectorOf({}, { unreadBytes: 100 }), fitting, 10, limits)).toBeUndefined();
    const almost = collectorOf({ max_concurrent_tasks: 9 }, holding(2));
    expect(refusal(almost, fitting, 10, limits)).toBeUndefined();
    expect(refusal(collectorOf({ max_concurrent_tasks: 2 }, holding(1)), fitting, 10, limits)).toBeUndefined();
  });
});

test('of several reasons the first of the table is given, what lasts before what passes', () => {
  const bad = collectorOf({}, { status: 'stopped', unreadBytes: 1000, ...holding(9) });
  const fixes: [Reason, (wrong: { demand: Demand; collector: Collector; priority: number }) => void][] = [
    ['operation', (wrong) => Object.assign(wrong.demand, { operation: { name: 'scan' } })],
    ['collector_type', (wrong) => Object.assign(wrong.demand, { collectorType: 'deep' })],
    ['collector_id', (wrong) => Object.assign(wrong.demand, { collectorId: 'a' })],
    ['capability', (wrong) => Object.assign(wrong.demand, { requires: [] })],
    ['label', (wrong) => Object.assign(wrong.demand, { labels: {} })],
    ['excluded', (wrong) => Object.assign(wrong.demand, { excluded: [] })],
    ['priority', (wrong) => Object.assign(wrong, { priority: 10 })],
    ['status', (wrong) => Object.assign(wrong.collector, { status: 'degraded' })],
    ['credit', (wrong) => wrong.collector.tasks.clear()],
    ['unread', (wrong) => Object.assign(wrong.collector, { unreadBytes: 0 })],
  ];
  const demand = demandOf({
    operation: { name: 'hash' },
    collectorType: 'flat',
    collectorId: 'b',
    requires: ['gpu'],
    labels: { zone: 'y' },
    excluded: ['a'],
  });
  const wrong = { demand, collector: bad, priority: 99 };
  for (const [reason, fix] of fixes) {
    expect(refusal(wrong.collector, wrong.demand, wrong.priority, limits)).toBe(reason);
    fix(wrong);
  }
  expect(refusal(wrong.collector, wrong.demand, wrong.priority, limits)).toBeUndefined();
  expect(fixes.map(([reason]) => reason)).toEqual(Object.keys(reasons));
});

test.each(collectorStatuses)('a collector that is %s', (status) => {
  const usable = status === 'healthy' || status === 'degraded';
  expect(unavailable(collectorOf({}, { status }), limits)).toBe(usable ? undefined : 'status');
});

test('a label must be the own label of the collector, whatever it is called', () => {
  const labelled = (labels: Record<string, string>) => demandOf({ labels });
  expect(mismatch(collectorOf(), labelled({ toString: 'x' }))).toBe('label');
  const own = collectorOf({ labels: { constructor: 'x' } });
  expect(mismatch(own, labelled({ constructor: 'x' }))).toBeUndefined();
  expect(mismatch(own, labelled({ constructor: 'y' }))).toBe('label');
  expect(mismatch(collectorOf({ labels: { zone: '' } }), labelled({ zone: '' }))).toBeUndefined();
});

test('a collector without levels accepts nothing; every range counts, both ends', () => {
  expect(acceptsPriority(collectorOf({ priority_levels: [] }), 100)).toBe(false);
  const one = collectorOf({ priority_levels: [[7, 7]] });
  expect([6, 7, 8].map((priority) => acceptsPriority(one, priority))).toEqual([false, true, false]);
});
