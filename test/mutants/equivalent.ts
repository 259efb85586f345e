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

const unequal = 'No two tasks have the same seq, so the two sides are equal only for one and the same task.';

export const equivalents: readonly Equivalent[] = [
  {
    file: 'src/core/pairing.ts',
    before: 'priority > otherPriority || (priority === otherPriority && seq < otherSeq);',
    after: 'priority > otherPriority || (priority === otherPriority && seq <= otherSeq);',
    reason: unequal,
  },
  {
    file: 'src/core/task-class.ts',
    before: 'before: (a, b) => a.seq < b.seq,',
    after: 'before: (a, b) => a.seq <= b.seq,',
    reason: unequal,
  },
];
