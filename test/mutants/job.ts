/** What a worker is asked and what it answers. */
export interface Job {
  /** Relative to the root of the copy, as are the tests. */
  readonly file: string;
  /** The file as it is, and what stands in its place while the tests run. */
  readonly source: string;
  readonly text: string;
  /** In the order they run; the first failure ends the run. */
  readonly tests: readonly string[];
}

export type Verdict =
  /** A test failed, or the run crashed or hung. */
  | { readonly status: 'killed'; readonly by: string }
  | { readonly status: 'survived' }
  /** It never ran, or the compiler refuses it: no mutant at all. */
  | { readonly status: 'invalid'; readonly why: string }
  /** Nothing can be said: the tests did not run. */
  | { readonly status: 'error'; readonly why: string };

export const timedOut: Verdict = { status: 'killed', by: 'the time limit' };
