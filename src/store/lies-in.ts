/** Whether a path leads into a directory, whatever links are on its way. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** Also true of the directory itself. `path` may be missing. */
export function liesIn(directory: string, path: string): boolean {
  const way = relative(realPath(resolve(directory)), realPath(resolve(path)));
  return !(way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way);
}

/** Links are followed as far as the path exists. */
const realPath = (path: string): string =>
  existsSync(path) || dirname(path) === path
    ? realpathSync(path)
    : join(realPath(dirname(path)), relative(dirname(path), path));
