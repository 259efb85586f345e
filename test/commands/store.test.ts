/** The commands that work on the files of a store. */
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
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

describe('deye store verify', () => {
  test('says that a store is whole, for people and for programs', async () => {
    await using world = new World();
    const people = await world.run(['store', 'verify', sound]);
    expect([people.code, people.stderr]).toEqual([0, '']);
    expect(people.stdout).toMatch(/tasks +20 live, 20 ended\nverdict +whole/);
    const { code, stdout } = await world.run(['store', 'verify', '--json'], { env: { DEYE_STATE_DIR: sound } });
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ is_whole: true, directory: sound, findings: [] }),
    ]);
  });

  test('names the place of a damage, and what to do; exits with 1', async () => {
    await using world = new World();
    const directory = scratch.copy(sound);
    damage(join(directory, 'journal', '000000000002.journal'), 4096 + 40, Uint8Array.of(0xaa, 0xbb));
    const { code, stdout } = await world.run(['store', 'verify', directory]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/verdict +damaged: 2 findings/);
    expect(stdout).toMatch(/damage batch_damaged \(segment 2, byte 4096, batch \d+\)\n.*\n.*deye store salvage/);
  });

  test('a directory without a store', async () => {
    await using world = new World();
    const { code, stderr } = await world.run(['store', 'verify', scratch.root]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/There is no store in .* \[store_unavailable\]/)]);
  });

  test('looks at a store that a broker writes to, and leaves it alone', async () => {
    await using world = new World();
    const directory = scratch.path();
    await using broker = await brokerOn(directory);
    const client = await connect({ socket: broker.socket!, name: 'test' });
    await client.submit({ operation: 'later' });
    const found = await world.run(['store', 'verify', directory, '--json']);
    expect(JSON.parse(found.stdout)).toMatchObject({ is_moving: true, is_whole: true, live_tasks: 1 });
    await client.submit({ operation: 'later' });
    await client.close();
  });
});

describe('deye store backup and restore', () => {
  test('one makes what the other needs, and both say how to go on', async () => {
    await using world = new World();
    const [to, restored] = [scratch.path(), scratch.path()];
    const made = await world.run(['store', 'backup', to, '--state-dir', sound]);
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(made.stdout).toContain(`restore with  deye store restore ${to} --state-dir NEW_DIR`);
    const done = await world.run(['store', 'restore', to, '--state-dir', restored, '--json']);
    expect([done.code, JSON.parse(done.stdout)]).toEqual([
      0,
      expect.objectContaining({ directory: restored, epoch: 2 }),
    ]);
    const again = await world.run(['store', 'restore', to, '--state-dir', restored]);
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/is not empty.* \[target_exists\]/)]);
    const none = await world.run(['store', 'restore', sound, '--state-dir', scratch.path()]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/no manifest.json.* \[backup_damaged\]/)]);
  });
});

describe('beside a broker that runs', () => {
  const hidden = () => readdirSync(scratch.root).filter((name) => name.startsWith('.'));

  test('status: of the broker, and of the files when it is gone', async () => {
    await using world = new World();
    const directory = scratch.path();
    const env = { DEYE_STATE_DIR: directory };
    {
      await using broker = await brokerOn(directory);
      await using client = await connect({ socket: broker.socket!, name: 'test' });
      await client.submit({ operation: 'later', payload: 'x' });
      const people = await world.run(['store', 'status'], { env });
      expect([people.code, people.stderr]).toEqual([0, '']);
      expect(people.stdout).toMatch(
        /sync +batch\ntasks +1 live, 0 ended in the book\npayloads +2 B in memory, 0 on the/,
      );
      expect(people.stdout).toMatch(/held by +store from batch 1\n/);
      const programs = await world.run(['store', 'status', '--json', '--socket', broker.socket!]);
      expect(JSON.parse(programs.stdout)).toEqual(await client.request('store.status', {}));
      const { stdout } = await world.run(['broker', 'status', '--socket', broker.socket!]);
      expect(stdout).toMatch(/\nsync +batch\n/);
    }
    const before = readdirSync(directory, { recursive: true });
    const rest = await world.run(['store', 'status'], { env });
    expect([rest.code, rest.stdout]).toEqual([0, expect.stringMatching(/sync +no broker runs on it\ntasks +1 live/)]);
    expect(readdirSync(directory, { recursive: true })).toEqual(before);
    const none = await world.run(['store', 'status', '--state-dir', scratch.root]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/no store in .* \[store_unavailable\]/)]);
  });

  test('backup: the broker copies, also to a place that is named from here', async () => {
    await using world = new World();
    const [directory, restored] = [scratch.path(), scratch.path()];
    await using broker = await brokerOn(directory);
    await using client = await connect({ socket: broker.socket!, name: 'test' });
    await client.submit({ operation: 'later' });
    const args = ['store', 'backup', 'copied', '--state-dir', directory];
    const made = await world.run([...args, '--json'], { cwd: scratch.root });
    const to = join(scratch.root, 'copied');
    expect([made.code, JSON.parse(made.stdout)]).toEqual([0, expect.objectContaining({ directory: to, epoch: 1 })]);
    expect((await world.run(['store', 'restore', to, '--state-dir', restored])).code).toBe(0);
    const again = await world.run(args, { cwd: scratch.root });
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/is not empty.* \[target_exists\]/)]);
  });

  test('backup, export: not into the store, nor beside it in its state directory, also by way of a link', async () => {
    await using world = new World();
    const [directory, link] = [scratch.path(), scratch.path()];
    await using broker = await brokerOn(directory);
    symlinkSync(directory, link);
    const ways = [
      ['--state-dir', directory],
      ['--socket', broker.socket!],
    ];
    for (const to of [directory, join(directory, 'b'), join(directory, 'store', 'b'), join(link, 'a', 'b')])
      for (const command of [...ways.map((way) => ['backup', to, ...way]), ['export', to, '--state-dir', directory]]) {
        const { code, stderr } = await world.run(['store', ...command]);
        expect([command, code, stderr]).toEqual([
          command,
          2,
          expect.stringMatching(/lies in .*another place.* \[usage\]/),
        ]);
      }
    for (const command of ['backup', 'export']) {
      const rest = await world.run(['store', command, join(sound, 'b'), '--state-dir', sound]);
      expect([rest.code, existsSync(join(sound, 'b'))]).toEqual([2, false]);
    }
    await using client = await connect({ socket: broker.socket!, name: 'test' });
    for (const to of [directory, join(directory, 'journal', 'b'), join(link, 'b')])
      await expect(client.request('store.backup', { directory: to })).rejects.toMatchObject({
        code: 'backup_failed',
        message: expect.stringMatching(/lies in the store that is to be copied.*another place/),
      });
    expect(readdirSync(join(directory, 'journal')).filter((name) => !name.startsWith('0'))).toEqual(['journal.json']);
  });

  test('compact: by the broker, and of the files when it is gone', async () => {
    await using world = new World();
    const directory = scratch.path();
    {
      await using broker = await brokerOn(directory);
      await using client = await connect({ socket: broker.socket!, name: 'test' });
      for (let count = 0; count < 8; count++)
        await client.submit({ operation: 'later', payload: new Uint8Array(1_000_000) });
      const by = await world.run(['store', 'compact', '--state-dir', directory]);
      expect([by.code, by.stdout]).toEqual([
        0,
        expect.stringMatching(/^journal +[\d.]+ MB, now [\d.]+ MB\nkept ready +[\d.]+ MB, now [\d.]+ MB\nbook +/),
      ]);
    }
    const { code, stdout } = await world.run(['store', 'compact', '--state-dir', directory, '--json']);
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ journal: expect.anything() })]);
    const found = JSON.parse((await world.run(['store', 'verify', directory, '--json'])).stdout) as object;
    expect(found).toMatchObject({ is_whole: true, live_tasks: 8, epoch: 2 });
    {
      using _lock = lockFile(join(directory, 'broker.lock'));
      const beside = await world.run(['store', 'compact', '--state-dir', directory]);
      expect([beside.code, beside.stderr]).toEqual([
        75,
        expect.stringMatching(/works on its store.* \[store_in_use\]/),
      ]);
    }
    const none = await world.run(['store', 'compact', '--state-dir', scratch.root]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/no store in .* \[store_unavailable\]/)]);
  });

  test('export: of a backup that is removed again', async () => {
    await using world = new World();
    const directory = scratch.path();
    await using broker = await brokerOn(directory);
    await using client = await connect({ socket: broker.socket!, name: 'test' });
    for (let count = 0; count < 3; count++) await client.submit({ operation: 'later' });
    const { code, stdout, stderr } = await world.run(['store', 'export', '--state-dir', directory]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1 + 3 + 1);
    expect(hidden()).toEqual([]);
  });

  test.each([
    ['backup', 'SIGINT', 130],
    ['export', 'SIGINT', 130],
    ['export', 'SIGTERM', 143],
    ['export', 'SIGHUP', 129],
  ] as const)('%s: ended by %s, it leaves nothing', async (command, signal, exit) => {
    await using world = new World();
    const [directory, to] = [scratch.path(), scratch.path()];
    await using broker = await brokerOn(directory);
    await using client = await connect({ socket: broker.socket!, name: 'test' });
    for (let count = 0; count < 15; count++)
      await client.submit({ operation: 'later', payload: new Uint8Array(1_000_000) });
    const child = world.spawn('store', command, to, '--state-dir', directory);
    const drafts = () => readdirSync(scratch.root, { recursive: true, encoding: 'utf8' });
    await until(() => drafts().some((name) => name.includes('.unfinished-')), 'it began');
    child.kill(signal);
    await ended(child);
    expect(child.exitCode).toBe(exit);
    await until(() => hidden().length === 0, 'all of it is removed');
    expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(existsSync(to)).toBe(false);
    await until(
      async () => (await client.request('store.status', {})).journal!.held_from.backup === undefined,
      'the broker holds nothing for it',
    );
  });

  test('export: what a kill left is removed by the next one', async () => {
    await using world = new World();
    const directory = scratch.path();
    await using broker = await brokerOn(directory);
    await using client = await connect({ socket: broker.socket!, name: 'test' });
    for (let count = 0; count < 15; count++)
      await client.submit({ operation: 'later', payload: new Uint8Array(1_000_000) });
    const copies = () => readdirSync(scratch.root).filter((name) => name.startsWith('.export-'));
    const child = world.spawn('store', 'export', '--state-dir', directory);
    const isLocked = (name: string) => existsSync(join(scratch.root, name, 'maker.lock'));
    await until(() => copies().some(isLocked), 'it began');
    child.kill('SIGKILL');
    await ended(child);
    expect(copies()).toHaveLength(1);
    await until(
      async () => (await client.request('store.status', {})).journal!.held_from.backup === undefined,
      'the broker holds nothing for it',
    );
    expect((await world.run(['store', 'export', '-', '--state-dir', directory])).code).toBe(0);
    expect(copies()).toEqual([]);
  });

  test('restore, import and salvage need a store that nobody writes to', async () => {
    await using world = new World();
    const directory = scratch.path();
    await using broker = await brokerOn(directory);
    expect(broker.socket).toBeDefined();
    const { code, stderr } = await world.run(['store', 'salvage', directory, scratch.path()]);
    expect([code, stderr]).toEqual([
      75,
      expect.stringMatching(/A broker runs on .*deye broker stop.* \[store_in_use\]/),
    ]);
  });
});

describe('a restore that is cut short', () => {
  const begun = async (world: World, signal: NodeJS.Signals) => {
    const [backup, parent] = [scratch.path(), scratch.path()];
    expect((await world.run(['store', 'backup', backup, '--state-dir', sound])).code).toBe(0);
    mkdirSync(parent);
    const to = join(parent, 'new');
    const drafts = () => readdirSync(parent, { recursive: true, encoding: 'utf8' });
    const child = world.spawn('store', 'restore', backup, '--state-dir', to);
    await until(() => drafts().some((name) => name.includes('.unfinished-')), 'it began');
    child.kill(signal);
    await ended(child);
    return { backup, parent, to, code: child.exitCode };
  };

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s: nothing is left, the directory neither', async (signal, exit) => {
    await using world = new World();
    const { parent, code } = await begun(world, signal);
    expect([code, readdirSync(parent)]).toEqual([exit, []]);
  });

  test('a kill: the next one removes what it left', async () => {
    await using world = new World();
    const { backup, to } = await begun(world, 'SIGKILL');
    expect(readdirSync(to).toSorted()).toEqual([expect.stringMatching(/^\.store\.unfinished-/), 'broker.lock']);
    mkdirSync(join(to, '.store.unfinished-AAAAAA')); // as of one that was killed a moment earlier
    expect((await world.run(['store', 'restore', backup, '--state-dir', to])).code).toBe(0);
    expect(readdirSync(to).toSorted()).toEqual(['broker.lock', 'store']);
    expect(readdirSync(join(to, 'store')).sort()).not.toContain('maker.lock');
  });
});

describe('deye store salvage', () => {
  test('names what is missing and writes nothing, until that is accepted', async () => {
    await using world = new World();
    const [directory, to] = [scratch.copy(sound), scratch.path()];
    damage(join(directory, 'journal', '000000000002.journal'), 4096 + 40, Uint8Array.of(0xaa, 0xbb));
    const refused = await world.run(['store', 'salvage', directory, to]);
    expect([refused.code, refused.stderr]).toEqual([1, '']);
    expect(refused.stdout).toMatch(/missing +\d+ batch(es)?(, \d+ tasks?)?\n/);
    expect(refused.stdout).toMatch(/Nothing was written[\s\S]*missing:\n {2}batches \d+ to \d+[\s\S]*--accept-gap/);
    expect(existsSync(to)).toBe(false);
    const done = await world.run(['store', 'salvage', directory, to, '--accept-gap', '--json']);
    expect([done.code, JSON.parse(done.stdout)]).toEqual([
      0,
      expect.objectContaining({ is_written: true, directory: to }),
    ]);
    expect((await world.run(['store', 'verify', to])).code).toBe(0);
  });
});

describe('deye store export and import', () => {
  test('through a pipe, lines of JSON; nothing but them on standard output', async () => {
    await using world = new World();
    const [to, piped] = [scratch.path(), scratch.path()];
    const exported = await world.run(['store', 'export', '--state-dir', sound]);
    expect([exported.code, exported.stderr]).toEqual([0, '']);
    const lines = exported.stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1 + 1 + 40 + 1);
    for (const line of lines) JSON.parse(line);
    const imported = await world.run(['store', 'import', '-', '--state-dir', piped], { input: exported.stdout });
    expect([imported.code, imported.stdout]).toEqual([
      0,
      expect.stringMatching(/40 tasks and 1 setting are in a new store/),
    ]);
    expect((await world.run(['store', 'verify', piped])).code).toBe(0);
    const cut = await world.run(['store', 'import', '-', '--state-dir', to], { input: exported.stdout.slice(0, 9000) });
    expect([cut.code, cut.stderr]).toEqual([
      1,
      expect.stringMatching(/standard input cannot be imported: it is cut off.* \[export_damaged\]/),
    ]);
    expect(existsSync(to)).toBe(false);
  });

  test('a compressed one is named as such, with the way to unpack it', async () => {
    await using world = new World();
    const [file, to] = [`${scratch.path()}.gz`, scratch.path()];
    const exported = await world.run(['store', 'export', '-', '--state-dir', sound]);
    writeFileSync(file, gzipSync(exported.stdout));
    const { code, stderr } = await world.run(['store', 'import', file, '--state-dir', to]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`compressed with gzip. Unpack it on the way, with: zcat ${file} | deye store import -`),
    ]);
    expect(existsSync(to)).toBe(false);
  });

  test('to a file, and from it', async () => {
    await using world = new World();
    const [file, to] = [scratch.path(), scratch.path()];
    const exported = await world.run(['store', 'export', file, '--json'], { env: { DEYE_STATE_DIR: sound } });
    expect([exported.code, JSON.parse(exported.stdout)]).toEqual([
      0,
      expect.objectContaining({ file, tasks: 40, settings: 1 }),
    ]);
    expect((await world.run(['store', 'import', file, '--state-dir', to])).code).toBe(0);
    expect((await world.run(['store', 'export', file, '--state-dir', sound])).code).toBe(2);
  });
});

describe('on a disk that takes no large files', () => {
  const limited = async (
    world: World,
    ...args: string[]
  ): Promise<{ readonly code: number | null; readonly text: string }> => {
    const child = world.shell('ulimit -f 60; exec "$0" "$@"', ...args);
    let text = '';
    child.stderr!.on('data', (chunk) => (text += chunk));
    await ended(child);
    return { code: child.exitCode, text };
  };

  test('each command says so, and leaves nothing behind', async () => {
    await using world = new World();
    const [backup, file, to] = [scratch.path(), scratch.path(), scratch.path()];
    expect((await world.run(['store', 'backup', backup, '--state-dir', sound])).code).toBe(0);
    expect((await world.run(['store', 'export', file, '--state-dir', sound])).code).toBe(0);
    const before = readdirSync(scratch.root);
    const full = /(cannot be (made|written|copied)|no space).*(room|another)/;
    for (const args of [
      ['backup', to, '--state-dir', sound],
      ['restore', backup, '--state-dir', to],
      ['export', to, '--state-dir', sound],
      ['import', file, '--state-dir', to],
      ['salvage', sound, to],
    ]) {
      const { code, text } = await limited(world, 'store', ...args);
      expect([args[0], code, text]).toEqual([args[0], 75, expect.stringMatching(full)]);
      if (args[0] === 'backup') expect(text).not.toContain(sound);
      expect(readdirSync(scratch.root)).toEqual(before);
    }
  });
});

test('a directory that cannot be written is verified, and copied', async () => {
  await using world = new World();
  // To root every directory is writable, but for one that has given that up.
  const asUser = process.getuid?.() === 0 ? 'exec setpriv --bounding-set=-dac_override ' : 'exec ';
  const run = async (...args: string[]): Promise<number | null> => {
    const child = world.shell(`${asUser}"$0" "$@"`, ...args);
    await ended(child);
    return child.exitCode;
  };
  const [directory, to] = [scratch.copy(sound), scratch.path()];
  for (const path of [join(directory, 'journal'), directory]) chmodSync(path, 0o500);
  expect(await run('store', 'verify', directory)).toBe(0);
  expect(await run('store', 'backup', to, '--state-dir', directory)).toBe(0);
  expect(await run('store', 'compact', '--state-dir', directory)).not.toBe(0);
  for (const path of [directory, join(directory, 'journal')]) chmodSync(path, 0o700);
});
