/** Routing strategies: which of the candidates gets the task. Candidates are never empty, and stand in order of id. */
import type { strategyNames } from '../protocol/schema.ts';
import type { Collector } from './collector.ts';

export type StrategyName = (typeof strategyNames)[number];

/** `memory` lasts for the broker's life, one per operation and strategy. */
export interface StrategyMemory {
  lastId: string;
}

export type Strategy = (candidates: readonly Collector[], memory: StrategyMemory) => Collector;

export const strategies: Record<StrategyName, Strategy> = {
  /** Fewest tasks in progress; among equals the one that was given a task longest ago. */
  least_loaded: (candidates) =>
    candidates.reduce((best, other) =>
      other.tasks.size < best.tasks.size ||
      (other.tasks.size === best.tasks.size && other.lastAssignedAtMs < best.lastAssignedAtMs)
        ? other
        : best,
    ),

  /** The next after the last one, in order of id, and from the start again. */
  round_robin: (candidates, memory) => {
    const chosen = candidates.find(({ id }) => id > memory.lastId) ?? candidates[0]!;
    memory.lastId = chosen.id;
    return chosen;
  },
};
