import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { World } from '../process/daemon.ts';
import { missing } from './missing.ts';

const python = ['/usr/bin/python3', 'python3'].find((program) => {
  try {
    execFileSync(program, ['-c', 'import msgpack'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

test.skipIf(missing(python === undefined, 'Python 3 with its msgpack module (python3-msgpack)'))(
  'sixty lines of stock Python take part',
  async () => {
    await using world = new World();
    expect((await world.run(['up', '--json'])).code).toBe(0);
    const { stdout } = await promisify(execFile)(python!, [fileURLToPath(new URL('client.py', import.meta.url))], {
      env: world.env as NodeJS.ProcessEnv,
    });
    const report = JSON.parse(stdout) as Record<string, unknown> & { pid: number };
    expect(report).toMatchObject({
      messages: [['greetings.world', { from: 'python' }]],
      ack: [4, 1, 1],
      health: 'healthy',
      state: 'completed',
      processes: [
        { pid: report.pid, name: expect.stringMatching(/python/), state: expect.stringMatching(/sleeping|running/) },
      ],
      refused: expect.stringMatching(/^invalid_params: .*operation/),
    });
  },
);
