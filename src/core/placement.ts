/**
 * Placements: which collector gets which task. A placement plans over the tasks it is given; dispatch carries the plan
 * out and checks each assignment again by `match`, so a plan may be late or wrong without harm. A classic strategy is
 * one line: it chooses among the candidates of one task at a time (`greedy`).
 */
import type { AttemptOutcome } from '../protocol/schema.ts';
import type { Collector } from './collector.ts';
import { nextRandom, type Random } from './random.ts';
import type { Task } from './task.ts';

/** What a placement remembers; one per operation, for the life of the broker. */
export interface PlacementMemory {
  /** The collector of the latest decision. */
  lastId: string;
}

interface Problem {
  /** Each with the collectors that can take it now, in order of id: never none, degraded ones only when no other can. */
  readonly tasks: readonly { readonly task: Task; readonly candidates: readonly Collector[] }[];
  readonly memory: PlacementMemory;
  readonly random: Random;
}

interface PlannedAssignment {
  readonly task: Task;
  readonly collector: Collector;
}

/** How an attempt ended. Spans in ms. */
export interface AttemptResult {
  readonly collectorId: string;
  readonly outcome: AttemptOutcome;
  readonly ranMs: number;
}

export interface Placement {
  readonly summary: string;
  readonly plan: (problem: Problem) => readonly PlannedAssignment[];
  /** Of every attempt that it placed since the broker started, also when the operation has another placement by then. */
  readonly learn?: (memory: PlacementMemory, result: AttemptResult) => void;
}

type Strategy = (candidates: readonly Collector[], memory: PlacementMemory, random: Random) => Collector;

const greedy = (summary: string, choose: Strategy): Placement => ({
  summary,
  plan: ({ tasks, memory, random }) =>
    tasks.map(({ task, candidates }) => {
      const collector = choose(candidates, memory, random);
      memory.lastId = collector.id;
      return { task, collector };
    }),
});

/** The candidate with the largest value; among equals the one that was given a task longest ago. */
const best = (candidates: readonly Collector[], value: (collector: Collector) => number): Collector =>
  candidates.reduce((top, other) => {
    const difference = value(other) - value(top);
    return difference > 0 || (difference === 0 && other.lastAssigned < top.lastAssigned) ? other : top;
  });

export const placements: ReadonlyMap<string, Placement> = new Map([
  [
    'least_loaded',
    greedy('the fewest tasks in progress; among equals the one that was given a task longest ago', (candidates) =>
      best(candidates, ({ tasks }) => -tasks.size),
    ),
  ],
  [
    'round_robin',
    greedy(
      'the next after the last one, in order of id',
      (candidates, { lastId }) => candidates.find(({ id }) => id > lastId) ?? candidates[0]!,
    ),
  ],
  ['first_available', greedy('the first in order of id', (candidates) => candidates[0]!)],
  [
    'random',
    greedy(
      'any, evenly',
      (candidates, _memory, random) => candidates[Math.floor(nextRandom(random) * candidates.length)]!,
    ),
  ],
  [
    'weighted',
    greedy('the largest weight ÷ (tasks in progress + 1)', (candidates) =>
      best(candidates, ({ tasks, registration }) => registration.weight / (tasks.size + 1)),
    ),
  ],
]);

export const defaultPlacement = 'least_loaded';
