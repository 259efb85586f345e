/** Mutants that change nothing anybody could observe, each with the reason why. They are reported apart. */
export interface Equivalent {
  readonly file: string;
  /** The code of the lines, without and with the mutant, as `npm run mutants` prints them. */
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const isEquivalent = (mutant: Omit<Equivalent, 'reason'>, { file, before, after }: Equivalent): boolean =>
  file === mutant.file && before === mutant.before && after === mutant.after;

const unequal = 'No two tasks have the same seq, so the two sides are never equal.';

export const equivalents: readonly Equivalent[] = [
  {
    file: 'src/core/dispatch.ts',
    before: 'a.spec.priority > b.spec.priority || (a.spec.priority === b.spec.priority && a.seq < b.seq);',
    after: 'a.spec.priority > b.spec.priority || (a.spec.priority === b.spec.priority && a.seq <= b.seq);',
    reason: unequal,
  },
  {
    file: 'src/core/queue.ts',
    before: 'if (above.seq <= task.seq) break;',
    after: 'if (above.seq < task.seq) break;',
    reason: unequal,
  },
  {
    file: 'src/core/queue.ts',
    before: 'if (child + 1 < heap.length && heap[child + 1]!.seq < heap[child]!.seq) child++;',
    after: 'if (child + 1 < heap.length && heap[child + 1]!.seq <= heap[child]!.seq) child++;',
    reason: unequal,
  },
  {
    file: 'src/core/queue.ts',
    before: 'if (below.seq >= task.seq) break;',
    after: 'if (below.seq > task.seq) break;',
    reason: unequal,
  },
];
