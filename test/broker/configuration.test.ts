import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { loadConfiguration } from '../../src/broker/configuration.ts';
import { defaultLimits, limitTable } from '../../src/protocol/limits.ts';

const root = mkdtempSync(join(tmpdir(), 'deye-configuration-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directory = '';
let made = 0;
let env: Record<string, string> = {};
beforeEach(() => {
  directory = join(root, `c${++made}`);
  mkdirSync(join(directory, 'user', 'deye'), { recursive: true });
  env = { XDG_CONFIG_HOME: join(directory, 'user'), XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' };
});

const file = (text: string, name = 'deye.yaml'): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
const load = (text: string, variables: Record<string, string> = {}) =>
  loadConfiguration({ file: file(text) }, { ...env, ...variables });
const refused = async (text: string, variables: Record<string, string> = {}): Promise<string> => {
  const error = await load(text, variables).then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error, text).toMatchObject({ code: 'configuration_invalid' });
  return error!.message;
};

describe('where values come from', () => {
  test('flags before the environment before the project before the user before the defaults', async () => {
    const user = file(
      '{log_level: error, limits: {pending_max: 5, lease_ms: 7000}, routing: {strategy: round_robin}}',
      'user/deye/deye.yaml',
    );
    const project = file('{log_level: warn, limits: {pending_max: 6}, state_dir: /project}');
    const loaded = await loadConfiguration(
      { file: project, logLevel: 'debug' },
      { ...env, DEYE_LIMITS_PENDING_MAX: '9', DEYE_LOG_LEVEL: 'trace' },
    );
    expect(loaded).toMatchObject({
      logLevel: 'debug',
      stateDir: '/project',
      store: 'journal:/project/store',
      socket: '/r/deye/broker.sock',
      strategy: 'round_robin',
      limits: { ...defaultLimits, pendingMax: 9, leaseMs: 7000 },
      files: [project, user],
    });
    expect(Object.fromEntries(loaded.origins)).toMatchObject({
      files: `${project}, ${user}`,
      log_level: '--log-level',
      state_dir: project,
      socket: 'default',
      'routing.strategy': user,
      'limits.pending_max': 'DEYE_LIMITS_PENDING_MAX',
      'limits.lease_ms': user,
      'limits.ping_ms': 'default',
      collectors: 'default',
    });
    for (const [name, { configurable }] of Object.entries(limitTable))
      expect(
        [...loaded.origins.keys()].some((key) => key.replaceAll('_', '') === `limits.${name}`.toLowerCase()),
        name,
      ).toBe(configurable);
  });

  test('without a file', async () => {
    const loaded = await loadConfiguration({ file: file('') }, { ...env, XDG_CONFIG_HOME: '/nowhere' });
    expect(loaded).toMatchObject({ limits: defaultLimits, stateDir: '/s/deye' });
    expect((await loadConfiguration({}, { ...env, XDG_CONFIG_HOME: '/nowhere' })).origins.get('files')).toBe('none');
    await expect(loadConfiguration({ file: '/nowhere/deye.yaml' }, env)).rejects.toThrow(
      /\/nowhere\/deye.yaml is not there/,
    );
  });

  test('relative paths in a file start at the file, others here', async () => {
    const loaded = await load(
      '{socket: run/b.sock, state_dir: ./state, collectors: [{id: a, type: a, command: node, args: [a.js]}, {id: b, type: b, command: ./b, working_dir: sub}, {id: procmond, type: procmond}]}',
    );
    expect(loaded.socket).toBe(join(directory, 'run/b.sock'));
    expect(loaded.stateDir).toBe(join(directory, 'state'));
    expect(loaded.collectors.map(({ working_dir }) => working_dir)).toEqual([
      directory,
      join(directory, 'sub'),
      undefined,
    ]);
    expect((await loadConfiguration({ socket: 'x.sock' }, env)).socket).toBe(join(process.cwd(), 'x.sock'));
    expect((await loadConfiguration({}, { ...env, DEYE_SOCKET: 'unix:y.sock' })).socket).toBe(
      join(process.cwd(), 'y.sock'),
    );
  });
});

describe('what is wrong is refused, with the place, the key and the rule', () => {
  test.each([
    ['{limits: {pendingMax: 5}}', /deye\.yaml: limits\.pendingMax: there is no such limit; did you mean pending_max\?/],
    ['{limits: {pending_maks: 5}}', /did you mean pending_max\?/],
    ['{limits: {nothing_like_it_at_all: 5}}', /there is no such limit; see deye-protocol\(7\)/],
    ['{limits: {hello_bytes_max: 5}}', /fixed at 4096 bytes/],
    ['{limits: {pending_max: many}}', /limits\.pending_max: is "many"; it must be a positive whole number of count/],
    ['{limits: {pending_max: 0}}', /positive whole number/],
    ['{limits: {pending_max: 1.5}}', /positive whole number/],
    ['{limits: {connections_max: 10001}}', /connections_max: is 10001; the most is 10000/],
    [
      '{limits: {payload_bytes_max: 16000000}}',
      /payload_bytes_max \(16000000\) must be at least 1 MiB below frame_bytes_max \(16777216\), so at most 15728640/,
    ],
    ['{limits: {frame_bytes_max: 8388608}}', /payload_bytes_max \(10485760\) must be at least 1 MiB below/],
    ['{socket: "tcp://host:1"}', /socket: The address "tcp:\/\/host:1" names the transport "tcp"/],
    ['{routing: {strategy: nope}}', /routing\.strategy.*round_robin/],
    ['{routing: {strategies: a}}', /routing: there is no key "strategies"; did you mean strategy/],
    ['{colectors: []}', /there is no key "colectors"; did you mean collectors/],
    ['{collectors: [{id: a, type: procmond, workdir: x}]}', /collectors\.0: there is no key "workdir"/],
    [
      '{collectors: [{id: a, type: a, command: b, inherit_env: some}]}',
      /inherit_env: must be true, false or a list of names/,
    ],
    ['{collectors: [{id: broker, type: procmond}]}', /must be another id than the call targets/],
    ['{collectors: [{id: a, type: nosuch}]}', /no command and is no built-in type/],
    ['{log_level: loud}', /log_level/],
    ['a: [', /cannot be read as YAML/],
  ])('%s', async (text, why) => {
    expect(await refused(text)).toMatch(why);
  });

  test.each([
    ['DEYE_LIMITS_FOO', '1', /^DEYE_LIMITS_FOO: there is no such limit/],
    ['DEYE_LIMITS_PENDING_MAKS', '1', /did you mean DEYE_LIMITS_PENDING_MAX\?/],
    ['DEYE_LIMITS_PENDING_MAX', 'x', /DEYE_LIMITS_PENDING_MAX: is "x"/],
    ['DEYE_LIMITS_PENDING_MAX', '0', /positive whole number/],
    ['DEYE_LIMITS_CONNECTIONS_MAX', '10001', /the most is 10000/],
    ['DEYE_SOCKET', 'tcp://host:1', /^DEYE_SOCKET: The address .*"tcp"/],
    ['DEYE_LOG_LEVEL', 'loud', /log level is "loud"/],
  ])('%s=%s', async (name, value, why) => {
    expect(await refused('', { [name]: value })).toMatch(why);
  });

  test('a directory in the place of the file says what it is', async () => {
    await expect(loadConfiguration({ file: directory }, env)).rejects.toThrow(/cannot be read: EISDIR/);
  });

  test('a limit in the environment wins over one in a file, also where only both together fit', async () => {
    const loaded = await load('{limits: {payload_bytes_max: 20000000}}', { DEYE_LIMITS_FRAME_BYTES_MAX: '33554432' });
    expect(loaded.limits).toMatchObject({ payloadBytesMax: 20_000_000, frameBytesMax: 33_554_432 });
  });
});
