/** What a life that kept every promise leaves behind. */
import type { Backoff } from './behaviour.ts';
import type { WorkCounts } from './work.ts';

export interface LifeResult {
  readonly seed: number;
  /** The same seed gives the same. */
  readonly hash: number;
  readonly accepted: number;
  readonly starts: number;
  readonly backoffs: readonly Backoff[];
  readonly work: WorkCounts;
}
