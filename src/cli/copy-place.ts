/** Where a copy may lie: not in what it is of, whose loss would be its own. */
import { liesIn } from '../store/lies-in.ts';
import { UsageError } from './error.ts';

/** Throws a UsageError when `to`, which may be missing, is the state directory or lies in it. */
export function refuseWithin(stateDir: string, to: string): void {
  if (liesIn(stateDir, to))
    throw new UsageError(
      `${to} lies in ${stateDir}, whose store is to be copied: what takes one would take the other. Name another place.`,
    );
}
