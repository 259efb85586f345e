#!/usr/bin/env node
/** The entry point of the command line. `--version` is answered before anything heavy is imported. */
import { mkdirSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module'; // a name it lacks would be a syntax error on an old Node
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outputFailed } from './cli/output-failure.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `deye needs Node 22.18 or newer; this is ${process.versions.node}. In a clone, "npm ci" brings its own: use "npx deye".\n`,
  );
  process.exit(1);
}

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const arguments_ = process.argv.slice(2);
process.stdout.on('error', (error) => outputFailed(error, arguments_));

if (arguments_.length === 1 && (arguments_[0] === '--version' || arguments_[0] === '-v')) {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  process.stdout.write(`deye ${version}\n`);
} else {
  // A cache of the user's own, whatever the umask: the default one lies in the shared temporary directory.
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'deye', 'compile');
  try {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    nodeModule.enableCompileCache(cache);
  } catch {} // a home that cannot be written costs time and nothing else
  const { run, flush } = await import('@oclif/core');
  await run(arguments_, { root: packageRoot }).then(
    () => flush(),
    async (error: Error) => (await import('./cli/outermost.ts')).end(error, arguments_),
  );
}
