/** What the model of the core is made of, and who can do what in it. */
import type { TaskSpec } from '../../src/core/task.ts';
import type { RegistrationParsed } from '../../src/protocol/collector-schema.ts';

export interface ModelTask {
  readonly spec: TaskSpec;
  readonly seq: number;
  state: string;
  attempt: number;
  excluded: string[];
  holder: ModelCollector | undefined;
  readyAt: number;
  timeoutAt: number;
  leaseEnds: number;
  cancelSent: number | undefined;
}

export interface ModelCollector {
  readonly session: number;
  registration: RegistrationParsed;
  status: string;
  active: number;
  missed: number;
  lastAssigned: number;
}

export interface ModelWait {
  readonly session: number;
  readonly request: number;
  readonly id: string;
  readonly at: number;
}

export function couldServe({ registration }: ModelCollector, { spec, excluded }: ModelTask): boolean {
  const { operations, capabilities, labels, collector_id, collector_type, priority_levels } = registration;
  return (
    operations.some(({ name }) => name === spec.operation) &&
    spec.requires.every((need) => capabilities.includes(need)) &&
    Object.entries(spec.labels).every(([name, value]) => labels[name] === value) &&
    (spec.collectorId ?? collector_id) === collector_id &&
    (spec.collectorType ?? collector_type) === collector_type &&
    !excluded.includes(collector_id) &&
    priority_levels.some(([low, high]) => low <= spec.priority && spec.priority <= high)
  );
}

type Choose = (
  candidates: readonly ModelCollector[],
  load: (one: ModelCollector) => number,
  lastId: string,
) => ModelCollector;

/** Each sorts the candidates, which come in order of id. */
export const strategies: Readonly<Record<string, Choose>> = {
  least_loaded: (candidates, load) =>
    candidates.toSorted((a, b) => load(a) - load(b) || a.lastAssigned - b.lastAssigned)[0]!,
  first_available: (candidates) => candidates[0]!,
  round_robin: (candidates, _load, lastId) =>
    candidates.find(({ registration }) => registration.collector_id > lastId) ?? candidates[0]!,
  weighted: (candidates, load) => {
    const value = (one: ModelCollector): number => one.registration.weight / (load(one) + 1);
    return candidates.toSorted((a, b) => value(b) - value(a) || a.lastAssigned - b.lastAssigned)[0]!;
  },
};

export const sameClass = (a: ModelTask, b: ModelTask): boolean => classOf(a) === classOf(b);
const classOf = ({ spec, excluded }: ModelTask): string => {
  const { operation, requires, labels, collectorType, collectorId } = spec;
  return JSON.stringify([operation, requires, labels, collectorType, collectorId, excluded.toSorted()]);
};
