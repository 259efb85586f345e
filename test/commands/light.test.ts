/** What a short command loads: the libraries that are heavy only where they are used. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { World } from '../process/daemon.ts';

test.each([['task', 'submit', 'enumerate_processes'], ['collectors', 'ls'], ['--version']])(
  'deye %s %s',
  async (...args) => {
    await using world = new World();
    expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
    const [hook, list] = [join(world.directory, 'hook.mjs'), join(world.directory, 'loaded')];
    writeFileSync(
      hook,
      `import { appendFileSync } from 'node:fs';
       import { registerHooks } from 'node:module';
       registerHooks({ load: (url, context, next) => (appendFileSync(${JSON.stringify(list)}, url + '\\n'), next(url, context)) });`,
    );
    expect((await world.run(args, { env: { NODE_OPTIONS: `--import=${hook}` } })).code).toBe(0);
    const loaded = readFileSync(list, 'utf8');
    expect(loaded).toContain('/dist/src/main.js');
    for (const name of ['zod', 'yaml', 'ink', 'react', 'pino'])
      expect(loaded, name).not.toContain(`/node_modules/${name}/`);
  },
);
