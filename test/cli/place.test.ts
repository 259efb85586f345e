import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfiguration } from '../../src/broker/configuration.ts';
import { namedIn } from '../../src/cli/place.ts';
import { findPlace, findSocket } from '../../src/configuration/place.ts';

let directory: string;
const before = process.cwd();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'deye-place-'));
  process.chdir(directory);
});
afterEach(() => {
  process.chdir(before);
  rmSync(directory, { recursive: true });
});

/** Every combination of the places where a socket can be named. */
const combinations = Array.from({ length: 32 }, (_, bits) => ({
  flag: (bits & 1) !== 0,
  variable: (bits & 2) !== 0,
  project: (bits & 4) !== 0,
  named: (bits & 8) !== 0,
  user: (bits & 16) !== 0,
}));

test.each(combinations)('commands find the socket as the broker does: %o', async (given) => {
  const yaml = (path: string, socket: string) => {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `socket: ${join(directory, socket)}\n`);
  };
  if (given.project) yaml(join(directory, 'deye.yaml'), 'project.sock');
  if (given.named) yaml(join(directory, 'named.yaml'), 'named.sock');
  if (given.user) yaml(join(directory, 'config', 'deye', 'deye.yaml'), 'user.sock');
  const env = {
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_RUNTIME_DIR: join(directory, 'run'),
    ...(given.variable ? { DEYE_SOCKET: join(directory, 'variable.sock') } : {}),
    ...(given.named ? { DEYE_CONFIG: join(directory, 'named.yaml') } : {}),
  };
  const flag = given.flag ? join(directory, 'flag.sock') : undefined;
  const place = await findSocket(flag, env);
  const { socket, origins } = await loadConfiguration({ socket: flag }, env);
  expect(place).toEqual({ value: socket, origin: origins.get('socket') });
  if (given.project && !given.flag && !given.variable && !given.named) {
    expect(place.value).toBe(join(directory, 'project.sock'));
    expect(namedIn(place)).toBe(` (socket of ${join(process.cwd(), 'deye.yaml')})`);
  }
});

test('a named file that is not there, or not YAML, stops a command', async () => {
  await expect(findSocket(undefined, { DEYE_CONFIG: 'nope.yaml' })).rejects.toMatchObject({
    code: 'configuration_invalid',
    message: expect.stringMatching(/nope\.yaml/),
  });
  for (const text of ['socket: [', 'socket: 7', 'socket:', '- socket'])
    await expect(
      (async () => {
        writeFileSync('deye.yaml', text);
        return findSocket(undefined, { XDG_CONFIG_HOME: directory });
      })(),
    ).rejects.toMatchObject({ code: 'configuration_invalid', message: expect.stringMatching(/deye\.yaml/) });
});

test('a socket in a deeper place is none', async () => {
  writeFileSync('deye.yaml', 'collectors:\n  - {id: a, type: a, command: x, args: [--socket]}\n');
  const env = { XDG_CONFIG_HOME: directory, XDG_RUNTIME_DIR: directory };
  expect(await findSocket(undefined, env)).toEqual({
    value: join(directory, 'deye', 'broker.sock'),
    origin: 'default',
  });
});

test('a file that is wrong stops a command as it stops the broker', async () => {
  writeFileSync('deye.yaml', 'sockett: x\n');
  await expect(findSocket(undefined, { XDG_CONFIG_HOME: directory })).rejects.toMatchObject({
    code: 'configuration_invalid',
    message: expect.stringMatching(/deye\.yaml.*sockett/),
  });
});

test('a relative path means the same from everywhere', async () => {
  expect((await findSocket('run/broker.sock', {})).value).toBe(join(process.cwd(), 'run/broker.sock'));
  mkdirSync('below');
  writeFileSync('below/deye.yaml', 'socket: run/broker.sock\n');
  const place = await findSocket(undefined, { DEYE_CONFIG: 'below/deye.yaml' });
  expect(place.value).toBe(join(process.cwd(), 'below', 'run', 'broker.sock'));
});

test('of a socket and a state directory the one that is named at the higher level decides', async () => {
  mkdirSync('config/deye', { recursive: true });
  writeFileSync('config/deye/deye.yaml', 'socket: user.sock\n');
  const files = { XDG_CONFIG_HOME: 'config' };
  const namedBy = async (...given: Parameters<typeof findPlace>) => (await findPlace(...given)).namedBy;
  expect(await namedBy({}, {})).toBe('default');
  expect(await namedBy({}, files)).toBe('socket');
  writeFileSync('deye.yaml', 'state_dir: state\n');
  expect(await namedBy({}, files)).toBe('state-dir');
  writeFileSync('deye.yaml', 'state_dir: state\nsocket: run.sock\n');
  expect(await namedBy({}, files)).toBe('both');
  expect(await namedBy({}, { ...files, DEYE_SOCKET: 'a' })).toBe('socket');
  expect(await namedBy({}, { ...files, DEYE_SOCKET: 'a', DEYE_STATE_DIR: 'b' })).toBe('both');
  expect(await namedBy({ stateDir: 'c' }, { DEYE_SOCKET: 'a', DEYE_STATE_DIR: 'b' })).toBe('state-dir');
  expect(await namedBy({ socket: 'c' }, { DEYE_SOCKET: 'a', DEYE_STATE_DIR: 'b' })).toBe('socket');
  expect(await namedBy({ socket: 'c', stateDir: 'd' }, {})).toBe('both');
});
