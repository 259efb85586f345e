/**
 * The states of a task, in one place: what each means, which may follow, and whether it is an end. The core moves along
 * these edges, the stores separate live from ended by them, and deye-tasks(7) prints them.
 */
interface StateRow {
  readonly summary: string;
  /** The states that may follow; none: the task has ended. */
  readonly next: readonly string[];
}

export const stateTable = {
  pending: {
    summary: 'Accepted and on disk; waits for a collector that can do it and has credit.',
    next: ['in_progress', 'cancelled', 'dead_letter'],
  },
  in_progress: {
    summary: 'Handed to a collector, under a lease.',
    next: ['completed', 'pending', 'retrying', 'dead_letter'],
  },
  retrying: { summary: 'An attempt failed; waits for its backoff.', next: ['pending', 'cancelled', 'dead_letter'] },
  completed: { summary: 'Done; the result is kept with it.', next: [] },
  dead_letter: { summary: 'Out of retries or given up; kept with the error of every attempt.', next: [] },
  cancelled: { summary: 'Called off while it waited.', next: [] },
} as const satisfies Record<string, StateRow>;

export type TaskState = keyof typeof stateTable;

export const taskStates = Object.keys(stateTable) as [TaskState, ...TaskState[]];
export const isEnded = (state: TaskState): boolean => stateTable[state].next.length === 0;
export const endedStates: readonly TaskState[] = taskStates.filter(isEnded);
export const mayFollow = (from: TaskState, to: TaskState): boolean =>
  (stateTable[from].next as readonly TaskState[]).includes(to);

/** Older words that filters still accept. */
const stateAliases = {
  queued: ['pending'],
  failed: ['retrying', 'dead_letter'],
} as const satisfies Record<string, readonly TaskState[]>;
type StateFilter = TaskState | keyof typeof stateAliases;

export const stateFilters: readonly [StateFilter, ...StateFilter[]] = [
  ...taskStates,
  ...(Object.keys(stateAliases) as (keyof typeof stateAliases)[]),
];

/** The states that a filter stands for, each once. */
export const statesOf = (filter: readonly StateFilter[]): TaskState[] => [
  ...new Set(filter.flatMap((one) => (one in stateAliases ? [...stateAliases[one as 'failed']] : [one as TaskState]))),
];

/** The bodies of a task, which are sent only when they are named. */
export const bodyNames = ['payload', 'result'] as const;
export type BodyName = (typeof bodyNames)[number];
