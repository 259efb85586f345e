/** The lines that differ from a revision, by file. */
import { execFileSync } from 'node:child_process';

export function changedLines(root: string, revision: string): (file: string, line: number) => boolean {
  const git = (...words: string[]): string =>
    execFileSync('git', words, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const ranges = rangesOf(git('diff', '--unified=0', '--no-color', '--no-prefix', '--relative', revision));
  const untracked = new Set(git('ls-files', '--others', '--exclude-standard').split('\n'));
  return (file, line) =>
    untracked.has(file) || (ranges.get(file) ?? []).some(([first, last]) => first <= line && line <= last);
}

/** Reads a diff without context: for each file, the first and last line of each part that is new. */
export function rangesOf(diff: string): Map<string, [first: number, last: number][]> {
  const ranges = new Map<string, [number, number][]>();
  let file = '';
  for (const line of diff.split('\n')) {
    const name = /^\+\+\+ (.*)$/.exec(line)?.[1];
    const [, first, count = '1'] = /^@@ \S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    if (name !== undefined) file = name;
    if (first === undefined || count === '0') continue;
    ranges.set(file, [...(ranges.get(file) ?? []), [Number(first), Number(first) + Number(count) - 1]]);
  }
  return ranges;
}
