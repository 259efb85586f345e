import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { missing } from '../interop/missing.ts';
import { ended, World } from '../process/daemon.ts';

let world: World;
beforeAll(async () => {
  world = new World();
  expect((await world.run(['broker', 'start', '--no-collectors'])).code).toBe(0);
});
afterAll(() => world[Symbol.asyncDispose]());

async function inShell(
  line: string,
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const shell = world.shell(line, ...args);
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) shell[name]!.on('data', (chunk) => (printed[name] += chunk));
  await ended(shell);
  return { code: shell.exitCode, ...printed };
}

test.skipIf(missing(!existsSync('/dev/full'), '/dev/full'))(
  'an output that cannot be written is an error',
  async () => {
    for (const args of [['--version'], ['--help'], ['task', 'ls'], ['broker', 'status'], ['broker', 'logs']])
      expect(await inShell('exec "$0" "$@" > /dev/full', ...args), args.join(' ')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /^deye: Standard output cannot be written: .*no space left.* \[output_failed\]\n$/,
        ),
      });
    const { stderr } = await inShell('exec "$0" "$@" > /dev/full', 'task', 'ls', '--json');
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'output_failed' } });
    const other = await inShell('exec "$0" "$@" > /dev/full', 'collectors', 'show', 'nobody');
    expect([other.code, other.stderr]).toEqual([5, expect.stringMatching(/^deye: .*\[not_found\]\n$/)]);
  },
);

test('a reader that has enough is no error', async () => {
  const { code, stdout, stderr } = await inShell('set -o pipefail; "$0" "$@" | head -c 1', 'routing', 'show');
  expect([code, stdout, stderr]).toEqual([0, 's', '']);
});
