/**
 * A worker process: keeps a test runner warm in its private copy of the tree, puts one text after another into a file
 * and says whether a test noticed.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BaseSequencer, createVitest, type TestSpecification } from 'vitest/node';
import type { Job, Verdict } from './job.ts';

const root = process.argv[2]!;
process.chdir(root);

/** Keeps the order of the job. */
class InOrder extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    return specifications;
  }
}

const vitest = await createVitest(
  'test',
  {
    root,
    watch: false,
    bail: 1,
    pool: 'forks',
    isolate: false, // one process for all the tests of a job
    maxWorkers: 1,
    fsModuleCache: false,
    execArgv: ['--max-old-space-size=1024'], // a mutant that gathers without end dies early
    sequence: { sequencer: InOrder },
    reporters: [{}],
  },
  { cacheDir: join(root, '.vite'), logLevel: 'silent' },
);

let planted: Job | undefined;

function put(file: string, text: string): void {
  writeFileSync(join(root, file), text);
  vitest.invalidateFile(join(root, file));
}

async function judge(job: Job): Promise<Verdict> {
  if (planted !== undefined) put(planted.file, planted.source);
  planted = job;
  put(job.file, job.text);
  const project = vitest.getRootProject();
  const specifications = job.tests.map((test) => project.createSpecification(join(root, test)));
  const { testModules, unhandledErrors } = await vitest.rerunTestSpecifications(specifications, false);
  const tests = testModules.flatMap((module) => [...module.children.allTests()]);
  const failed = tests.find((test) => test.result().state === 'failed');
  if (failed !== undefined) return { status: 'killed', by: failed.fullName };
  const passed = tests.some((test) => test.result().state === 'passed');
  const [error] = [...testModules.flatMap((module) => module.errors()), ...unhandledErrors] as { message: string }[];
  if (error !== undefined)
    return passed || unhandledErrors.length > 0
      ? { status: 'killed', by: error.message }
      : { status: 'invalid', why: `does not load: ${error.message}` };
  return passed ? { status: 'survived' } : { status: 'error', why: 'no test ran' };
}

process.on('disconnect', () => process.exit());
process.on('message', (job: Job) => {
  judge(job)
    .catch((error: Error): Verdict => ({ status: 'error', why: error.message }))
    .then((verdict) => process.send!(verdict));
});
process.send!('ready');
