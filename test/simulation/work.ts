/** How much work the broker did: counts, not times, so that a gate on them is exact. */
export interface WorkCounts {
  readonly tasks: number;
  readonly commits: number;
  /** To streams. */
  readonly writes: number;
  readonly steps: number;
  /** Of the timeline: what the simulation itself cost. */
  readonly events: number;
}

export const noWork: WorkCounts = { tasks: 0, commits: 0, writes: 0, steps: 0, events: 0 };

export const addWork = (one: WorkCounts, other: WorkCounts): WorkCounts => ({
  tasks: one.tasks + other.tasks,
  commits: one.commits + other.commits,
  writes: one.writes + other.writes,
  steps: one.steps + other.steps,
  events: one.events + other.events,
});

export function workPer1000Tasks({ tasks, commits, writes, steps, events }: WorkCounts): Omit<WorkCounts, 'tasks'> {
  const per = (count: number): number => Math.round((count * 1000) / Math.max(1, tasks));
  return { commits: per(commits), writes: per(writes), steps: per(steps), events: per(events) };
}
