/** The compiler as a judge: a mutant that it refuses can never be committed, so no test has to notice it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Names that a mutant leaves unused, and code that it cuts off, are no mistakes here. */
const options =
  '-p . --noEmit --incremental --tsBuildInfoFile .tsbuildinfo --pretty false --noUnusedLocals false --noUnusedParameters false --allowUnreachableCode true';

/** What the compiler says first against the tree at `root`; nothing when it agrees, or has no configuration there. */
export function refusal(root: string): Promise<string | undefined> {
  if (!existsSync(join(root, 'tsconfig.json'))) return Promise.resolve(undefined);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, ...options.split(' ')], { cwd: root }, (error, stdout) =>
      resolve(error === null ? undefined : (stdout.split('\n')[0] ?? '') || error.message),
    );
  });
}
