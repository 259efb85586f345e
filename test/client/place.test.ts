import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect, startBroker } from '../../src/index.ts';
import { filesIn, read, root } from '../source.ts';

let directory: string;
const before = process.cwd();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'deye-client-place-'));
  mkdirSync(join(directory, 'project'));
  process.chdir(join(directory, 'project'));
  vi.stubEnv('DEYE_SOCKET', '');
  vi.stubEnv('DEYE_CONFIG', '');
  vi.stubEnv('XDG_CONFIG_HOME', join(directory, 'config'));
  vi.stubEnv('XDG_RUNTIME_DIR', join(directory, 'run'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  process.chdir(before);
  rmSync(directory, { recursive: true });
});

const pid = async (): Promise<number> => {
  await using client = await connect({ reconnect: false });
  return (await client.request('broker.snapshot', {})).broker.pid;
};

test('a program finds the broker that deye.yaml names, as a command does', async () => {
  writeFileSync('deye.yaml', 'socket: run/named.sock\ncollectors: []\n');
  await using broker = await startBroker({ stateDir: false });
  expect(broker.socket).toBe(join(process.cwd(), 'run', 'named.sock'));
  expect(await pid()).toBe(process.pid);
  vi.stubEnv('DEYE_SOCKET', join(directory, 'other.sock'));
  await expect(pid()).rejects.toMatchObject({
    code: 'broker_not_running',
    message: expect.stringMatching(/other\.sock/),
  });
});

test('the one of the user is found from everywhere', async () => {
  mkdirSync(join(directory, 'config', 'deye'), { recursive: true });
  writeFileSync(join(directory, 'config', 'deye', 'deye.yaml'), `socket: ${join(directory, 'run', 'mine.sock')}\n`);
  await using _ = await startBroker({ stateDir: false });
  expect(await pid()).toBe(process.pid);
});

test('a file that is wrong is named', async () => {
  writeFileSync('deye.yaml', 'sockett: x\n');
  await expect(connect()).rejects.toMatchObject({
    name: 'ConfigurationError',
    code: 'configuration_invalid',
    message: expect.stringMatching(/deye\.yaml.*"sockett"; did you mean socket\?/),
  });
});

test('a client comes back to the broker that it had, wherever its program went', async () => {
  writeFileSync('deye.yaml', 'socket: run/named.sock\n');
  const start = () => startBroker({ socket: join(directory, 'project', 'run', 'named.sock'), stateDir: false });
  const first = await start();
  await using client = await connect();
  process.chdir(directory);
  await first.stop('immediate');
  await using _ = await start();
  expect((await client.request('broker.health', {})).status).toBe('healthy');
});

test('without a file no parser is loaded, and with a transport no file is looked for', async () => {
  for (const file of filesIn('src')) expect(read(file), file).not.toMatch(/^import .* from 'yaml'/m);
  await using broker = await startBroker({ socket: false, stateDir: false });
  writeFileSync('deye.yaml', 'socket: [');
  await using client = await connect({ transport: broker.open });
  expect((await client.request('broker.health', {})).status).toBe('healthy');
});

test('a working directory that is gone names nothing', () => {
  const script = `import { connect } from ${JSON.stringify(join(root, 'dist/src/index.js'))};
    fs.rmdirSync(process.cwd());
    await connect({ reconnect: false }).catch(({ code }) => console.log(code));`;
  mkdirSync(join(directory, 'gone'));
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(directory, 'gone'),
    encoding: 'utf8',
  });
  expect(printed).toBe('broker_not_running\n');
});
