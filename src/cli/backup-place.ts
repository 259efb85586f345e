/** Where a backup may lie: not in what it is of, whose loss would be its own. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { UsageError } from './error.ts';

/** Throws a UsageError when `to`, which may be missing, is the state directory or lies in it. */
export function refuseWithin(stateDir: string, to: string): void {
  const way = relative(realPath(resolve(stateDir)), realPath(resolve(to)));
  if (way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way) return;
  throw new UsageError(
    `${to} lies in ${stateDir}, whose store is to be copied: what takes one would take the other. Name another place.`,
  );
}

/** Links are followed as far as the path exists. */
const realPath = (path: string): string =>
  existsSync(path) || dirname(path) === path
    ? realpathSync(path)
    : join(realPath(dirname(path)), relative(dirname(path), path));
