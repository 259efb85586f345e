/** The compiler as a sieve: what it refuses can never be committed, so no test has to notice it. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Mutant } from './plant.ts';

/** Names that a mutant leaves unused, and code that it cuts off, are no mistakes here. */
const lax = { noEmit: true, noUnusedLocals: false, noUnusedParameters: false, allowUnreachableCode: true };
const batchMax = 500;

/**
 * What the compiler says against each mutant that it refuses. Each is compiled beside the file it was planted in, under
 * a name of its own, many at once. A file that is refused under another name even without a mutant is let through.
 */
export async function refusals(
  root: string,
  modules: string,
  mutants: readonly Mutant[],
): Promise<Map<Mutant, string>> {
  const refused = new Map<Mutant, string>();
  if (!existsSync(join(root, 'tsconfig.json'))) return refused;
  for (let at = 0; at < mutants.length; at += batchMax)
    for (const [mutant, why] of await refusalsOf(root, modules, mutants.slice(at, at + batchMax)))
      refused.set(mutant, why);
  return refused;
}

async function refusalsOf(root: string, modules: string, mutants: readonly Mutant[]): Promise<Map<Mutant, string>> {
  const copy = mkdtempSync(join(realpathSync(tmpdir()), 'mutants-'));
  try {
    for (const name of ['src', 'package.json', 'tsconfig.json'])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(modules, join(copy, 'node_modules'));
    const asItIs = new Map(mutants.map(({ file }) => [file, beside(file, 'as-it-is')]));
    for (const [file, name] of asItIs) cpSync(join(root, file), join(copy, name));
    const names = mutants.map(({ file }, at) => beside(file, `mutant-${at}`));
    for (const [at, name] of names.entries()) writeFileSync(join(copy, name), mutants[at]!.text);
    const files = [...asItIs.values(), ...names];
    const config = { extends: './tsconfig.json', compilerOptions: lax, files, include: ['src/**/*.d.ts'] };
    writeFileSync(join(copy, 'tsconfig.mutants.json'), JSON.stringify(config));
    const said = await compile(copy, modules);
    const refused = new Map<Mutant, string>();
    for (const [at, name] of names.entries()) {
      const why = said.get(name);
      if (why !== undefined && !said.has(asItIs.get(mutants[at]!.file)!)) refused.set(mutants[at]!, why);
    }
    return refused;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const beside = (file: string, name: string): string => file.replace(/(\.tsx?)$/, `.${name}$1`);

/** The first thing said against each file. */
function compile(copy: string, modules: string): Promise<Map<string, string>> {
  const compiler = join(modules, 'typescript/bin/tsc');
  const options = [compiler, '-p', 'tsconfig.mutants.json', '--pretty', 'false'];
  return new Promise((resolve) => {
    execFile(process.execPath, options, { cwd: copy, maxBuffer: 2 ** 28 }, (_, stdout) => {
      const said = new Map<string, string>();
      for (const line of stdout.split('\n')) {
        const [, file, why] = /^(.+?)\(\d+,\d+\): error (.*)$/.exec(line) ?? [];
        if (file === undefined || why === undefined) continue;
        const name = relative(copy, join(copy, file));
        if (!said.has(name)) said.set(name, why);
      }
      resolve(said);
    });
  });
}
