/**
 * `npm run mutants`: plants small mistakes in the sources, one at a time, and says which of them no test notices.
 *
 *     npm run mutants                        everything below
 *     npm run mutants -- src/core/queue.ts   only files whose path has this in it
 *     npm run mutants -- --limit 150         a sample; the same --seed gives the same one
 *     npm run mutants -- --since main        only lines that differ from a revision
 *     npm run mutants -- --json FILE         all verdicts, for a program
 *
 * Exits 1 when too many mutants of the core survive.
 */
import { globSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { changedLines } from './changed.ts';
import { refusals } from './compile.ts';
import { equivalents, isEquivalent } from './equivalent.ts';
import type { Verdict } from './job.ts';
import { judge } from './judge.ts';
import { type Mutant, plant } from './plant.ts';
import { relatedTests } from './related.ts';
import { countBy, type Judged, print, roomOf, shareOf } from './report.ts';
import { shuffled } from './sample.ts';
import { parse } from './syntax.ts';
import { unionsOf } from './unions.ts';

const sources = ['src/core/**/*.ts', 'src/broker/turn.ts', 'src/protocol/**/*.ts'];
/** In the order they run, the cheapest first. */
const tests = ['test/core/**', 'test/protocol/**', 'test/time/**', 'test/simulation/**'];
const survivingMax = { room: 'core', share: 0.1 };
const workers = 2;
process.env.DEYE_LIVES ??= '100';

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    limit: { type: 'string' },
    seed: { type: 'string', default: '1' },
    since: { type: 'string' },
    json: { type: 'string' },
  },
});

const root = fileURLToPath(new URL('../..', import.meta.url));
const modules = realpathSync(join(root, 'node_modules'));
const filesOf = (patterns: readonly string[]): string[] =>
  patterns.flatMap((pattern) => globSync(pattern, { cwd: root }).sort());
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const startedMs = performance.now();
const files = filesOf(sources).filter((file) => !file.endsWith('.d.ts'));
const unions = files.flatMap((file) => unionsOf(parse(read(file))));
const inDiff = values.since === undefined ? () => true : changedLines(root, values.since);
const planted = files
  .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))
  .flatMap((file) => plant(file, read(file), unions))
  .filter(({ file, line }) => inDiff(file, line));
if (planted.length === 0 && values.since === undefined) fail('There is nothing to plant there.');
const limit = values.limit === undefined ? Math.max(1, planted.length) : Number(values.limit);
if (!Number.isInteger(limit) || limit < 1) fail('--limit takes a number of mutants.');

const judged: Judged[] = [];
const keep = (mutant: Mutant, verdict: Verdict): void => {
  const equivalent = equivalents.find((one) => isEquivalent(mutant, one));
  judged.push(equivalent === undefined ? { mutant, verdict } : { mutant, verdict, equivalent });
};

const mutants = await compiling(values.limit === undefined ? planted : shuffled(planted, Number(values.seed)), limit);
const seed = values.limit === undefined ? '' : `, drawn with seed ${values.seed}`;
console.log(`${mutants.length} mutants of ${planted.length} candidates${seed}.`);
await judge(mutants, {
  root,
  modules,
  workers,
  limitMs: (tookMs) => 3000 + 3 * tookMs,
  tests: relatedTests(
    root,
    filesOf(tests).filter((file) => /\.test\.tsx?$/.test(file)),
  ),
  judged: (mutant, verdict) => {
    keep(mutant, verdict);
    process.stderr.write(verdict.status === 'survived' ? 's' : '.');
  },
});
process.stderr.write('\n');
judged.sort((a, b) => a.mutant.file.localeCompare(b.mutant.file) || a.mutant.line - b.mutant.line);
print(judged);
console.log(`${((performance.now() - startedMs) / 60_000).toFixed(1)} minutes.`);

if (values.json !== undefined) {
  const rows = judged.map(({ mutant: { text: _, ...mutant }, ...rest }) => ({ ...mutant, ...rest }));
  writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
}
const gated = countBy(judged, roomOf).get(survivingMax.room);
process.exit(gated !== undefined && shareOf(gated) > survivingMax.share ? 1 : 0);

function fail(why: string): never {
  console.error(why);
  process.exit(2);
}

/** The first `count` mutants that the compiler takes. */
async function compiling(candidates: readonly Mutant[], count: number): Promise<Mutant[]> {
  const taken: Mutant[] = [];
  for (let at = 0; at < candidates.length && taken.length < count; ) {
    const batch = candidates.slice(at, at + (count - taken.length));
    const refused = await refusals(root, modules, batch);
    for (const mutant of batch) {
      const why = refused.get(mutant);
      if (why === undefined) taken.push(mutant);
      else keep(mutant, { status: 'invalid', why: `does not compile: ${why}` });
    }
    at += batch.length;
  }
  return taken;
}
