import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../broker/harness.ts';
import { World } from '../process/daemon.ts';
import { read, root } from '../source.ts';

/** The code block of the README that begins with this comment. */
function sample(name: string): string {
  const block = [...read('README.md').matchAll(/```\w+\n([\s\S]*?)```/g)].find(
    ([, text]) => text!.startsWith(`// ${name}\n`) || text!.startsWith(`# ${name}\n`),
  );
  expect(block, name).toBeDefined();
  return block![1]!;
}

/** A plain folder, as `npm init --yes` and `npm install deye` leave it. */
describe('the samples of the README work as printed', () => {
  let world: World;
  let folder: string;
  beforeAll(async () => {
    world = new World();
    folder = join(world.directory, 'plain');
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    symlinkSync(root, join(folder, 'node_modules', 'deye'));
    writeFileSync(join(folder, 'package.json'), '{"name": "plain", "version": "1.0.0"}');
    for (const name of ['greeter.mjs', 'client.mjs', 'deye.yaml']) writeFileSync(join(folder, name), sample(name));
    const up = await world.run(['up'], { cwd: folder });
    expect(up.code, up.stdout + up.stderr).toBe(0);
    expect(up.stdout).toMatch(/greeter healthy/);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test('the collector greets', async () => {
    const { stdout } = await world.run(['task', 'submit', 'greet', '-p', '{"name":"Ada"}', '--wait', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'completed', result: 'hello Ada, this is attempt 1' });
  });

  test('the client submits, publishes and listens', async () => {
    const client = spawn(process.execPath, ['client.mjs'], {
      cwd: folder,
      env: world.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    client.stdout!.on('data', (chunk) => (printed += chunk));
    await until(() => printed.includes('completed hello you, this is attempt 1'), 'the result');
    await until(async () => {
      await world.run(['topic', 'pub', 'events.process.mine', '7']);
      return printed.includes('events.process.mine 7');
    }, 'a message');
    client.kill();
  });

  test('every command of the five minutes works, in their order', async () => {
    const block = /## Five minutes[\s\S]*?```sh\n([\s\S]*?)```/.exec(read('README.md'))![1]!;
    const lines = block.split('\n').filter((line) => line.startsWith('npx deye '));
    expect(lines.length).toBeGreaterThan(8);
    for (const line of lines) {
      const words = [...line.slice('npx deye '.length).matchAll(/'([^']*)'|([^\s']+)/g)].map(([, q, w]) => q ?? w!);
      const end = words.indexOf('#');
      const args = end === -1 ? words : words.slice(0, end);
      if (args[0] === 'top' || args[0] === 'tap') continue; // they go on; test/tui and commands.test.ts look at them
      const { code, stderr } = await world.run(args, { cwd: folder });
      expect(code, `${line}: ${stderr}`).toBe(0);
    }
  });

  test('a backup is restored and started while the first broker runs', async () => {
    const block = /## Backups[\s\S]*?```sh\n([\s\S]*?)```/.exec(read('README.md'))![1]!;
    const here = block.replaceAll('/mnt/', `${world.directory}/`).replaceAll('~/', `${world.directory}/`);
    for (const line of here.trimEnd().split('\n')) {
      const { code, stderr } = await world.run(line.replace(/ +#.*/, '').split(' ').slice(1));
      expect(code, `${line}: ${stderr}`).toBe(0);
    }
    const stop = await world.run(['broker', 'stop', '--state-dir', join(world.directory, 'restored')]);
    expect(stop).toMatchObject({ code: 0 });
  });
});
