/** A worker process with its private copy of the tree, and the time limit that it cannot keep by itself. */
import { type ChildProcess, fork } from 'node:child_process';
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Job, timedOut, type Verdict } from './job.ts';

const program = fileURLToPath(new URL('worker.ts', import.meta.url));
const notCopied = new Set(['node_modules', 'dist', '.git']);
const startLimitMs = 60_000;

export class Worker {
  readonly #copy: string;
  #process: ChildProcess | undefined;
  #job: Job | undefined;

  /** `modules` is the folder of the installed packages. */
  constructor(root: string, modules: string) {
    this.#copy = mkdtempSync(join(realpathSync(tmpdir()), 'mutants-'));
    cpSync(root, this.#copy, { recursive: true, filter: (path) => !notCopied.has(relative(root, path)) });
    symlinkSync(modules, join(this.#copy, 'node_modules'));
  }

  /** Runs the tests of a job. Tests that take longer than `limitMs` hang, and that would be noticed. */
  async run(job: Job, limitMs: number): Promise<Verdict> {
    if (this.#process === undefined) {
      this.#process = start(this.#copy);
      const ready = await answer<'ready'>(this.#process, startLimitMs);
      if (ready !== 'ready') return { status: 'error', why: 'the worker did not start' };
    }
    this.#job = job;
    this.#process.send(job);
    const verdict = (await answer<Verdict>(this.#process, limitMs)) ?? timedOut;
    if (verdict === timedOut || verdict.status === 'error') this.#end();
    return verdict;
  }

  /** Ends the process and takes the copy away. */
  close(): void {
    this.#end();
    rmSync(this.#copy, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Ends the process and all it started, and takes the mutant out. */
  #end(): void {
    const pid = this.#process?.pid;
    this.#process = undefined;
    if (this.#job !== undefined) writeFileSync(join(this.#copy, this.#job.file), this.#job.source);
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** Leads a process group, so that a test that hangs below it ends with it. */
function start(copy: string): ChildProcess {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')));
  return fork(program, [copy], { detached: true, env, execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
}

/** The next thing the process says; nothing when the time is over. */
function answer<T>(process: ChildProcess, limitMs: number): Promise<T | Verdict | undefined> {
  const { promise, resolve } = Promise.withResolvers<T | Verdict | undefined>();
  const onMessage = (message: unknown): void => resolve(message as T);
  const onExit = (): void => resolve({ status: 'error', why: 'the worker ended' });
  const timer = setTimeout(resolve, limitMs, undefined);
  process.once('message', onMessage).once('exit', onExit);
  return promise.finally(() => {
    clearTimeout(timer);
    process.off('message', onMessage).off('exit', onExit);
  });
}
