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

export const equivalents: readonly Equivalent[] = [];
