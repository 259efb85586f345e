/** Which broker and which store a command means: the socket or the state directory that is named first. */
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../src/index.ts';
import { lockFile } from '../../src/transport/file-lock.ts';
import { ended, World } from '../process/daemon.ts';
import { brokerOn } from '../store/broker.ts';
import { damage, Scratch } from '../store/fixture.ts';
import { until } from '../until.ts';

const scratch = new Scratch();
let sound: string;
beforeAll(async () => {
  sound = await scratch.sound();
});
afterAll(() => scratch[Symbol.dispose]());

/** A broker that runs, with one task. */
async function running() {
  const directory = scratch.path();
  const broker = await brokerOn(directory);
  await using client = await connect({ socket: broker.socket!, name: 'test' });
  await client.submit({ operation: 'later' });
  const { store_id } = await client.request('store.status', {});
  const [socket, close] = [broker.socket!, () => broker[Symbol.asyncDispose]()];
  return { directory, socket, storeId: store_id, [Symbol.asyncDispose]: close };
}

/** Each with arguments that it needs. */
const commands = () =>
  [['status'], ['compact'], ['backup', scratch.path()], ['export', scratch.path()]].map((args) => ['store', ...args]);

/** By its id, of whatever names the store. */
async function storeOf(world: World, args: string[], options: Parameters<World['run']>[1] = {}): Promise<unknown> {
  const { code, stdout, stderr } = await world.run([...args, '--json'], options);
  expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
  return (JSON.parse(stdout) as { store_id: unknown }).store_id;
}

test('a store that is named itself is that of the broker that runs on its state directory', async () => {
  await using world = new World();
  await world.broker();
  const own = await storeOf(world, ['store', 'status']);
  const [store, link, other] = [join(world.state, 'store'), scratch.path(), scratch.path()];
  symlinkSync(store, link);
  mkdirSync(other, { mode: 0o700 });
  symlinkSync(store, join(other, 'store'));
  for (const named of [store, link, other])
    for (const args of [['status'], ['backup', scratch.path()]])
      expect(await storeOf(world, ['store', ...args, '--state-dir', named])).toBe(own);
  expect((await world.run(['store', 'compact', '--state-dir', store])).code).toBe(0);
  expect((await world.run(['broker', 'status'])).code).toBe(0);
  for (const named of [store, other]) {
    const { code, stderr } = await world.run(['store', 'salvage', named, scratch.path()]);
    expect([code, stderr]).toEqual([75, expect.stringContaining('[store_in_use]')]);
  }
});

test('a store that another command works on is in use', async () => {
  await using world = new World();
  const [state, backup] = [scratch.path(), scratch.path()];
  expect((await world.run(['store', 'backup', backup, '--state-dir', sound])).code).toBe(0);
  expect((await world.run(['store', 'restore', backup, '--state-dir', state])).code).toBe(0);
  using _lock = lockFile(join(state, 'broker.lock'));
  for (const args of [
    ['status', '--state-dir', state],
    ['backup', scratch.path(), '--state-dir', state],
    ['export', '--state-dir', state],
    ['salvage', state, scratch.path()],
  ])
    expect(await world.run(['store', ...args])).toMatchObject({
      code: 75,
      stderr: expect.stringMatching(/^deye: Another command works on the store in .*\[store_in_use\]/),
    });
  expect((await world.run(['store', 'verify', state])).code).toBe(0);
});

test('a copy of a state directory is not that of the broker that runs on the other', async () => {
  await using world = new World();
  await world.broker();
  const copy = scratch.copy(world.state);
  chmodSync(copy, 0o700);
  const own = await storeOf(world, ['store', 'status']);
  const { code, stdout } = await world.run(['store', 'status', '--json', '--state-dir', copy]);
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { store_id: own, directory: join(copy, 'store') }]);
  expect((await world.run(['store', 'compact', '--state-dir', copy])).code).toBe(0);
  expect((await world.run(['broker', 'stop', '--state-dir', copy])).code).toBe(69);
  expect((await world.run(['broker', 'status'])).code).toBe(0);
});

test('nothing is made inside a store that is named in the place of its state directory', async () => {
  await using world = new World();
  const [state, backup] = [scratch.path(), scratch.path()];
  expect((await world.run(['store', 'backup', backup, '--state-dir', sound])).code).toBe(0);
  expect((await world.run(['store', 'restore', backup, '--state-dir', state])).code).toBe(0);
  const store = join(state, 'store');
  for (const args of [
    ['broker', 'start', '--foreground', '--no-collectors'],
    ['store', 'restore', backup],
  ]) {
    const { code, stderr } = await world.run([...args, '--state-dir', store]);
    expect([args, code, stderr]).toEqual([args, 4, expect.stringMatching(/is a store itself.*\[store_unsafe\]/)]);
  }
  expect(existsSync(join(store, 'store'))).toBe(false);
  expect((await world.run(['store', 'verify', state])).code).toBe(0);
});

test('a backup is not compacted: it could not be restored any more', async () => {
  await using world = new World();
  const [backup, to] = [scratch.path(), scratch.path()];
  expect((await world.run(['store', 'backup', backup, '--state-dir', sound])).code).toBe(0);
  const { code, stderr } = await world.run(['store', 'compact', '--state-dir', backup]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/is a backup.*deye store restore/)]);
  expect((await world.run(['store', 'restore', backup, '--state-dir', to])).code).toBe(0);
});

describe('a socket and a state directory', () => {
  test('given together, of two brokers: none of the commands does anything', async () => {
    await using world = new World();
    await using broker = await running();
    const before = readdirSync(scratch.root).length;
    const flags = ['--state-dir', sound, '--socket', broker.socket];
    for (const args of [...commands(), ['broker', 'stop']]) {
      const { code, stderr } = await world.run([...args, ...flags]);
      expect([args, code, stderr]).toEqual([
        args,
        2,
        expect.stringMatching(/keeps its tasks in .*Name only one.*\[usage\]/),
      ]);
      for (const one of [sound, broker.socket, broker.directory]) expect(stderr).toContain(one);
    }
    const env = { DEYE_STATE_DIR: sound, DEYE_SOCKET: broker.socket };
    expect(await world.run(['store', 'status'], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/\(DEYE_SOCKET\).*\(DEYE_STATE_DIR\)/),
    });
    expect(readdirSync(scratch.root)).toHaveLength(before);
    expect(await storeOf(world, ['store', 'status', '--socket', broker.socket])).toBe(broker.storeId);
  });

  test('given together, of one broker, or with no broker behind the socket', async () => {
    await using world = new World();
    await using broker = await running();
    const both = ['--state-dir', broker.directory, '--socket', broker.socket];
    expect(await storeOf(world, ['store', 'status', ...both])).toBe(broker.storeId);
    const atRest = ['--state-dir', sound, '--socket', world.socket];
    expect(await storeOf(world, ['store', 'backup', scratch.path(), ...atRest])).not.toBe(broker.storeId);
  });

  test.each(['DEYE_SOCKET', 'deye.yaml'])('%s alone: the store of the broker there', async (from) => {
    await using world = new World();
    await using broker = await running();
    const isVariable = from === 'DEYE_SOCKET';
    if (!isVariable) writeFileSync(join(world.directory, from), `socket: ${broker.socket}\n`);
    const env = { DEYE_STATE_DIR: '', DEYE_SOCKET: isVariable ? broker.socket : '', XDG_STATE_HOME: scratch.root };
    const options = { env, cwd: world.directory };
    const [copy, lines] = [scratch.path(), scratch.path()];
    expect(await storeOf(world, ['store', 'status'], options)).toBe(broker.storeId);
    expect(await storeOf(world, ['store', 'backup', copy], options)).toBe(broker.storeId);
    expect(await storeOf(world, ['store', 'verify'], options)).toBe(broker.storeId);
    expect((await world.run(['store', 'compact'], options)).code).toBe(0);
    expect((await world.run(['store', 'export', lines], options)).stdout).toMatch(/^1 task /);
    const other = await storeOf(world, ['store', 'verify', '--state-dir', sound], options);
    expect(other).not.toBe(broker.storeId);
    expect(await storeOf(world, ['store', 'backup', scratch.path(), '--state-dir', sound], options)).toBe(other);
  });

  test('a socket that decides, without a broker: how to name a store at rest', async () => {
    await using world = new World();
    for (const args of [...commands(), ['store', 'verify']])
      expect(await world.run(args, { env: { DEYE_STATE_DIR: '' } }), args.join(' ')).toMatchObject({
        code: 69,
        stderr: expect.stringMatching(
          /No broker is running on .*\(socket of DEYE_SOCKET\)\. Name .*--state-dir DIR \[/,
        ),
      });
    const file = await world.run(['store', 'status', '--socket', world.socket], { env: { DEYE_STATE_DIR: sound } });
    expect([file.code, file.stderr]).toEqual([69, expect.stringContaining('--state-dir DIR')]);
  });

  test('neither: the default place, its broker or its files', async () => {
    await using world = new World();
    const home = scratch.path();
    await (await brokerOn(join(home, 'deye'))).stop();
    const env = { DEYE_STATE_DIR: '', DEYE_SOCKET: '', XDG_STATE_HOME: home, XDG_RUNTIME_DIR: world.directory };
    const atRest = await world.run(['store', 'status'], { env });
    expect([atRest.code, atRest.stdout]).toEqual([0, expect.stringContaining('no broker runs on it')]);
    await using broker = await brokerOn(join(home, 'deye'));
    expect(broker.socket).toBeDefined();
    const asked = await world.run(['store', 'status'], { env });
    expect([asked.code, asked.stdout]).toEqual([0, expect.stringMatching(/sync +batch/)]);
  });

  test('broker stop: a flag before a variable, and no advice to start one', async () => {
    await using world = new World();
    await using broker = await running();
    const none = await world.run(['broker', 'stop', '--state-dir', sound], { env: { DEYE_SOCKET: broker.socket } });
    expect([none.code, none.stderr]).toEqual([
      69,
      expect.stringContaining(`No broker holds the state directory ${sound}.`),
    ]);
    const nobody = await world.run(['broker', 'stop']);
    expect([nobody.code, nobody.stderr]).toEqual([
      69,
      `deye: No broker is running on ${world.socket}. [broker_not_running]\n`,
    ]);
    expect(await storeOf(world, ['store', 'status', '--socket', broker.socket])).toBe(broker.storeId);
  });
});

test('broker logs: of the broker on a socket that decides', async () => {
  await using world = new World();
  await using broker = await running();
  const env = { DEYE_STATE_DIR: '', DEYE_SOCKET: broker.socket };
  const { code, stderr } = await world.run(['broker', 'logs'], { env });
  expect([code, stderr]).toEqual([2, expect.stringContaining(`on ${broker.socket} runs in the foreground`)]);
  const named = await world.run(['broker', 'logs', '--state-dir', sound], { env });
  expect(named.stderr).toContain(`There is no log at ${join(sound, 'broker.log')}`);
});

describe('flags of the commands for a store', () => {
  test.each([
    ['verify'],
    ['salvage', 'a', 'b'],
    ['restore', 'a', '--state-dir', 'b'],
    ['import', 'a', '--state-dir', 'b'],
  ])('%s has no --socket', async (...args) => {
    await using world = new World();
    const { code, stderr } = await world.run(['store', ...args, '--socket', world.socket]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('Unknown flag: --socket.')]);
  });

  test('verify: the directory as an argument or as a flag, not both', async () => {
    await using world = new World();
    expect((await world.run(['store', 'verify', '--state-dir', sound])).stdout).toMatch(/verdict +whole/);
    const { code, stderr } = await world.run(['store', 'verify', sound, '--state-dir', sound]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/both name a state directory\. .*\[usage\]/)]);
  });

  test('an empty value is a variable of a shell that is not set', async () => {
    await using world = new World();
    const all = [['status'], ['verify'], ['restore', 'a'], ['import', 'a'], ['backup', 'a']].map((args) => [
      'store',
      ...args,
    ]);
    for (const args of [...all, ['broker', 'start'], ['broker', 'stop'], ['broker', 'logs'], ['up']]) {
      const { code, stderr } = await world.run([...args, '--state-dir', '']);
      expect([args, code, stderr]).toEqual([args, 2, expect.stringMatching(/--state-dir: .* is empty\..*\[usage\]/)]);
    }
    for (const args of [
      ['store', 'status'],
      ['task', 'ls'],
      ['broker', 'stop'],
      ['top', '--once'],
    ]) {
      const { code, stderr } = await world.run([...args, '--socket=']);
      expect([args, code, stderr]).toEqual([args, 2, expect.stringMatching(/--socket: .* is empty\..*\[usage\]/)]);
    }
    for (const words of ['store verify', 'store backup', 'store salvage a', 'task submit']) {
      const { code, stderr } = await world.run([...words.split(' '), '']);
      expect([words, code, stderr]).toEqual([
        words,
        2,
        expect.stringMatching(/argument [A-Z_]+ is empty\..*\[usage\]/),
      ]);
    }
  });
});

describe('a state directory that a command makes', () => {
  test('is its own until it is made, or gone', async () => {
    await using world = new World();
    const [lines, backup, to, go] = [scratch.path(), scratch.path(), scratch.path(), scratch.path()];
    expect((await world.run(['store', 'backup', backup, '--state-dir', sound])).code).toBe(0);
    expect((await world.run(['store', 'export', lines, '--state-dir', sound])).code).toBe(0);
    const importing = world.shell(
      `(head -c 3000 ${lines}; until [ -e ${go} ] || [ $((tries++)) -gt 600 ]; do sleep 0.05; done; echo garbage) | "$0" "$@"`,
      ...['store', 'import', '-', '--state-dir', to],
    );
    await until(() => existsSync(to) && readdirSync(to).some((name) => name.includes('unfinished')), 'it began');
    const beside = [
      ['store', 'restore', backup, '--state-dir', to],
      ['store', 'import', lines, '--state-dir', to],
      ['store', 'salvage', sound, to],
    ];
    for (const args of beside) {
      const { code, stderr } = await world.run(args);
      expect([args, code, stderr]).toEqual([args, 75, expect.stringContaining('[store_in_use]')]);
    }
    const start = await world.run(['broker', 'start', '--foreground', '--no-collectors', '--state-dir', to]);
    expect([start.code, start.stderr]).toEqual([
      75,
      expect.stringMatching(/a command that works on its store.*\[store_in_use\]/),
    ]);
    writeFileSync(go, '');
    await ended(importing);
    expect(importing.exitCode).toBe(1);
    expect(existsSync(to)).toBe(false);
    expect((await world.run(['store', 'restore', backup, '--state-dir', to])).code).toBe(0);
  });

  test('is refused as a start would, where it is there and open to others', async () => {
    await using world = new World();
    const [copy, lines, open] = [scratch.path(), scratch.path(), scratch.path('open to others')];
    expect((await world.run(['store', 'backup', copy, '--state-dir', sound])).code).toBe(0);
    expect((await world.run(['store', 'export', lines, '--state-dir', sound])).code).toBe(0);
    mkdirSync(open);
    chmodSync(open, 0o755);
    for (const args of [
      ['restore', copy, '--state-dir', open],
      ['import', lines, '--state-dir', open],
      ['salvage', sound, open],
    ]) {
      const { code, stderr } = await world.run(['store', ...args]);
      expect([args, code, stderr]).toEqual([
        args,
        4,
        expect.stringMatching(/open to others \(mode 755\).*chmod 700 .*\[directory_unsafe\]/),
      ]);
      expect(readdirSync(open)).toEqual([]);
    }
    chmodSync(open, 0o700);
    expect((await world.run(['store', 'restore', copy, '--state-dir', open])).code).toBe(0);
  });

  test('is started on as the command says, also while another broker runs', async () => {
    await using world = new World();
    const [copy, lines] = [scratch.path(), scratch.path()];
    expect((await world.run(['store', 'backup', copy, '--state-dir', sound])).code).toBe(0);
    expect((await world.run(['store', 'export', lines, '--state-dir', sound])).code).toBe(0);
    const hints = async (): Promise<string[][]> => {
      const made = [scratch.path(), scratch.path(), scratch.path()] as const;
      const printed: string[] = [];
      for (const args of [
        ['restore', copy, '--state-dir', made[0]],
        ['import', lines, '--state-dir', made[1]],
        ['salvage', sound, made[2]],
      ])
        printed.push((await world.run(['store', ...args])).stdout);
      return printed.map((text, at) => {
        const words = /deye (broker start .*)/.exec(text)![1]!.split(' ');
        expect(words.slice(0, 4)).toEqual(['broker', 'start', '--state-dir', made[at]]);
        return words;
      });
    };
    const alone = await hints();
    for (const words of alone) expect(words).toHaveLength(4);
    const { stdout } = await world.run([...alone[0]!, '--no-collectors']);
    const stop = /deye (broker stop .*)/.exec(stdout)![1]!.split(' ');
    expect(await world.run(stop), stdout).toMatchObject({ code: 0 });
    await world.broker();
    for (const words of await hints()) {
      expect(words.slice(4)).toEqual(['--socket', join(words[3]!, 'broker.sock')]);
      expect(await world.run([...words, '--no-collectors'])).toMatchObject({ code: 0 });
      expect(await world.run(['broker', 'stop', '--state-dir', words[3]!])).toMatchObject({ code: 0 });
    }
  });
});

test('a start on the socket of another broker leaves the store alone', async () => {
  await using world = new World();
  await using broker = await running();
  const start = ['broker', 'start', '--foreground', '--state-dir', world.state, '--socket', broker.socket];
  const { code, stderr } = await world.run(start);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/Another broker holds .*\[socket_in_use\]/)]);
  expect(existsSync(join(world.state, 'store'))).toBe(false);
});

test('advice on a damaged store names it, as one word of a shell', async () => {
  await using world = new World(join(scratch.root, 'my state'));
  mkdirSync(world.state, { mode: 0o700 });
  await using parts = new World();
  expect((await parts.run(['store', 'backup', scratch.path('whole'), '--state-dir', sound])).code).toBe(0);
  expect((await parts.run(['store', 'restore', scratch.path('whole'), '--state-dir', world.state])).code).toBe(0);
  const journal = join(world.state, 'store', 'journal');
  damage(join(journal, '000000000002.journal'), 4096 + 40, Uint8Array.of(0xaa, 0xbb));
  const advice = `deye store verify '${world.state}'; restore a backup, or take what is whole with: deye store salvage '${world.state}' NEW_DIR`;
  for (const args of [['broker', 'start'], ['broker', 'start', '--foreground'], ...commands().slice(1)]) {
    const { code, stderr } = await world.run(args);
    expect([args, code, stderr]).toEqual([args, 1, expect.stringContaining(advice)]);
  }
  expect((await world.run(['store', 'verify'])).stdout).toContain(`deye store salvage '${world.state}' NEW_DIR`);
});
