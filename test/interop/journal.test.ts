import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { blockBytes } from '../../src/journal/header.ts';
import { surveyJournal } from '../../src/journal/survey.ts';
import type { StoredDetail } from '../../src/store/port.ts';
import { contentOf, damage, filled, Scratch, taskCount } from '../store/fixture.ts';
import { missing } from './missing.ts';

const script = fileURLToPath(new URL('journal.py', import.meta.url));
const lacksPython = (): boolean => {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
};

/** As the script prints it: names of the page, bodies in hex. */
const printed = ({ spec, result, attempts: _, ...task }: StoredDetail): Record<string, unknown> => {
  const { payload, correlation, ...rest } = spec;
  const fields = { ...rest, ...correlation, payload: Buffer.from(payload as Uint8Array).toString('hex') };
  return {
    ...task,
    ...(result === undefined ? {} : { result: Buffer.from(result).toString('hex') }),
    ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [`spec.${name}`, value])),
  };
};
const known = (task: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(task).filter(([, value]) => value !== null && value !== undefined));

/** Half of a batch, as a crash leaves it behind the last one. */
async function tear(journal: string): Promise<void> {
  await using survey = await surveyJournal(fileDisk(journal, { readOnly: true }));
  const { number, batches } = survey!.segments.findLast((segment) => segment.batches.length > 0)!;
  const { block, blocks } = batches.at(-1)!;
  const path = join(journal, `${String(number).padStart(12, '0')}.journal`);
  const start = readFileSync(path).subarray(block * blockBytes, block * blockBytes + 100);
  damage(path, (block + blocks) * blockBytes, start);
}

test.skipIf(missing(lacksPython(), 'Python 3'))(
  'sixty lines of Python read a journal of several segments and a torn tail from the page alone',
  async () => {
    using scratch = new Scratch();
    const directory = scratch.path();
    mkdirSync(directory);
    await (await filled(directory)).close();
    const copy = scratch.copy(directory);
    await tear(join(copy, 'journal'));
    expect(readFileSync(script, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(60);
    expect(readdirSync(join(copy, 'journal')).length).toBeGreaterThan(5);
    const { stdout } = await promisify(execFile)('python3', [script, join(copy, 'journal')]);
    const tasks = JSON.parse(stdout) as Record<string, unknown>[];
    const [content] = await contentOf(directory);
    expect(tasks).toHaveLength(taskCount);
    expect(tasks.map(known)).toEqual(content.map((task) => known(printed(task))));
  },
);
