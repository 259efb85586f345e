/** Judges mutants on a few workers at once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verdict } from './job.ts';
import type { Mutant } from './plant.ts';
import { Worker } from './pool.ts';

interface JudgeOptions {
  readonly root: string;
  /** The folder of the installed packages. */
  readonly modules: string;
  readonly workers: number;
  /** By source file, the tests that load it, the cheapest first. */
  readonly tests: ReadonlyMap<string, readonly string[]>;
  /** How long the tests may take with a mutant, when all of them took `tookMs` without one. */
  readonly limitMs: (tookMs: number) => number;
  readonly judged: (mutant: Mutant, verdict: Verdict) => void;
}

const firstLimitMs = 300_000;

/** Throws when the tests fail without any mutant, or cannot be run. */
export async function judge(mutants: readonly Mutant[], options: JudgeOptions): Promise<void> {
  const { root, modules, tests, judged } = options;
  const queue = [...mutants];
  const workers = Array.from({ length: Math.min(options.workers, mutants.length) }, () => new Worker(root, modules));
  const close = (): void => {
    for (const worker of workers.splice(0)) worker.close();
  };
  process.once('exit', close);
  try {
    await Promise.all([...workers].map((worker) => work(worker)));
  } finally {
    process.off('exit', close);
    close();
  }

  async function work(worker: Worker): Promise<void> {
    const limitMs = await limitOf(worker);
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift())
      judged(mutant, await verdictOf(worker, mutant, limitMs));
  }

  /** Runs all the tests without a mutant, cold and then warm: how long they may take with one. */
  async function limitOf(worker: Worker): Promise<number> {
    const everyTest = [...new Set(mutants.flatMap(({ file }) => tests.get(file) ?? []))];
    const [first] = mutants;
    if (first === undefined || everyTest.length === 0) return firstLimitMs;
    const source = sourceOf(first);
    let tookMs = 0;
    for (let run = 0; run < 2; run++) {
      const startedMs = performance.now();
      const verdict = await worker.run({ file: first.file, source, text: source, tests: everyTest }, firstLimitMs);
      if (verdict.status !== 'survived') throw new Error(`without any mutant: ${JSON.stringify(verdict)}`);
      tookMs = performance.now() - startedMs;
    }
    return options.limitMs(tookMs);
  }

  async function verdictOf(worker: Worker, mutant: Mutant, limitMs: number): Promise<Verdict> {
    const { file, line, after, text } = mutant;
    const job = { file, source: sourceOf(mutant), text, tests: tests.get(file) ?? [] };
    if (job.tests.length === 0) return { status: 'survived' };
    const verdict = await worker.run(job, limitMs);
    if (verdict.status === 'error') throw new Error(`${file}:${line} ${after}: ${verdict.why}`);
    return verdict;
  }

  function sourceOf({ file }: Mutant): string {
    return readFileSync(join(root, file), 'utf8');
  }
}
