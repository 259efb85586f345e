import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { defaultSocket, defaultStateDir, formatAddress, parseAddress } from '../../src/transport/address.ts';
import { transportPair } from '../../src/transport/pair.ts';
import { makeIdentity, readIdentity, tokenFile } from '../../src/transport/pipe.ts';
import type { Listener, ListenHandler } from '../../src/transport/port.ts';
import { ensurePrivateDirectory } from '../../src/transport/private-directory.ts';
import { dial, listen as listenOn } from '../../src/transport/registry.ts';
import { proveAsBroker, proveAsClient } from '../../src/transport/token.ts';
import { missing } from '../interop/missing.ts';
import { until } from '../until.ts';

const root = mkdtempSync(join(tmpdir(), 'deye-transport-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directory = '';
let made = 0;
beforeEach(() => {
  directory = join(root, `d${++made}`);
});
const options: ListenHandler = { accept: () => {}, failed: () => {}, handshakeMs: 1000 };
const listen = (path: string, handler = options): Promise<Listener> => listenOn({ scheme: 'unix', path }, handler);
const connectSocket = (path: string) => dial({ scheme: 'unix', path }, { timeoutMs: 5000 });
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('addresses', () => {
  test('the runtime directory, a directory of the user, or what is said', () => {
    expect(defaultSocket({ XDG_RUNTIME_DIR: '/run/user/1' })).toBe('/run/user/1/deye/broker.sock');
    expect(defaultSocket({})).toBe(join(tmpdir(), `deye-${process.getuid!()}`, 'broker.sock'));
    expect(defaultSocket({ DEYE_SOCKET: '/x/y.sock', XDG_RUNTIME_DIR: '/run' })).toBe('/x/y.sock');
    expect(defaultStateDir({ XDG_STATE_HOME: '/s' })).toBe('/s/deye');
    expect(defaultStateDir({ DEYE_STATE_DIR: '/t' })).toBe('/t');
  });

  test('a path or a scheme, and back again', () => {
    const addresses: [string, ReturnType<typeof parseAddress>, string][] = [
      ['/run/b.sock', { scheme: 'unix', path: '/run/b.sock' }, '/run/b.sock'],
      ['unix:/run/b.sock', { scheme: 'unix', path: '/run/b.sock' }, '/run/b.sock'],
      ['unix:b.sock', { scheme: 'unix', path: '/here/b.sock' }, '/here/b.sock'],
      ['./tcp:1', { scheme: 'unix', path: '/here/tcp:1' }, '/here/tcp:1'],
      ['pipe:state', { scheme: 'pipe', directory: '/here/state' }, 'pipe:/here/state'],
      ['memory:one', { scheme: 'memory', name: 'one' }, 'memory:one'],
    ];
    for (const [text, address, formatted] of addresses) {
      expect(parseAddress(text, '/here')).toEqual(address);
      expect(formatAddress(address)).toBe(formatted);
      expect(parseAddress(formatted, '/elsewhere')).toEqual(address);
    }
  });

  test.each([
    ['tcp://host:1', /"tcp:\/\/host:1" names the transport "tcp", which does not exist.*unix:PATH.*pipe:.*memory:/],
    ['vsock:3', /"vsock"/],
    ['unix:', /is empty/],
    ['', /is empty/],
    ['a\0b', /zero byte/],
    ['unix:\\\\.\\pipe\\x', /pipe without its token/],
  ])('%j is refused with the schemes there are', (text, why) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: 'bad_address', message: expect.stringMatching(why) }),
    );
    if (text !== '') expect(() => defaultSocket({ DEYE_SOCKET: text })).toThrow(why);
  });
});

describe('listening', () => {
  test('the socket is 0600 and its directory 0700, also while they are being made', async () => {
    const path = join(directory, 'broker.sock');
    // A thread that looks as often as it can, while the socket is made and removed again and again.
    const flags = new Int32Array(new SharedArrayBuffer(8));
    const watcher = new Worker(
      `const { workerData: { flags, paths }, parentPort } = require('node:worker_threads');
       const { lstatSync } = require('node:fs');
       const seen = new Set();
       Atomics.store(flags, 1, 1);
       Atomics.notify(flags, 1);
       while (Atomics.load(flags, 0) === 0)
         for (const path of paths) {
           const stat = lstatSync(path, { throwIfNoEntry: false });
           if (stat !== undefined) seen.add((stat.isSocket() ? 'socket ' : 'directory ') + (stat.mode & 0o777).toString(8));
         }
       parentPort.postMessage(seen);`,
      { eval: true, workerData: { flags, paths: [directory, path] } },
    );
    const seen = new Promise<Set<string>>((resolve) => watcher.once('message', resolve));
    await Atomics.waitAsync(flags, 1, 0).value;
    const before = process.umask(0);
    for (let at = 0; at < 200; at++) {
      const listener = await listen(path, options);
      expect([mode(path), mode(directory)]).toEqual(['600', '700']);
      await listener.close();
      expect(readdirSync(directory)).toEqual(['broker.sock.lock']);
      rmSync(directory, { recursive: true });
    }
    process.umask(before);
    Atomics.store(flags, 0, 1);
    expect([...(await seen)].sort()).toEqual(['directory 700', 'socket 600']);
  });

  test('a directory that is open, a link, or no directory is refused', async () => {
    mkdirSync(directory, { mode: 0o755 });
    chmodSync(directory, 0o755);
    for (const name of ['broker.log', 'deye.db.migrated', 'store', 'store.removed-1'])
      writeFileSync(join(directory, name), '');
    await expect(listen(join(directory, 'b.sock'), options)).rejects.toMatchObject({
      code: 'directory_unsafe',
      message: expect.stringMatching(/755.*chmod 700/),
    });
    await expect(connectSocket(join(directory, 'b.sock'))).rejects.toMatchObject({ code: 'directory_unsafe' });
    // It is not deye's own as soon as anything else is in it.
    writeFileSync(join(directory, 'diary.txt'), '');
    const refused = await connectSocket(join(directory, 'b.sock')).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'directory_unsafe', message: expect.stringMatching(/755.*--socket/) });
    expect(String(refused)).not.toContain('chmod');
    const target = join(root, `target${made}`);
    mkdirSync(target, { mode: 0o700 });
    symlinkSync(target, join(root, `link${made}`));
    await expect(listen(join(root, `link${made}`, 'b.sock'), options)).rejects.toMatchObject({
      message: expect.stringMatching(/symbolic link/),
    });
    writeFileSync(join(root, `file${made}`), '');
    expect(() => ensurePrivateDirectory(join(root, `file${made}`))).toThrow(/not a directory/);
  });

  test.skipIf(missing(process.getuid!() !== 0, 'root, to make a directory of another user'))(
    'a directory of another user is refused',
    async () => {
      const { chownSync } = await import('node:fs');
      mkdirSync(directory, { mode: 0o700 });
      chownSync(directory, 12_345, 12_345);
      await expect(listen(join(directory, 'b.sock'), options)).rejects.toMatchObject({
        code: 'directory_unsafe',
        message: expect.stringMatching(/belongs to user 12345/),
      });
    },
  );

  test('never advises to close a directory of the system', async () => {
    for (const path of [tmpdir(), '/', '/tmp', '/usr', '/tmp/b.sock', '/b.sock', '/dev/shm/b.sock', '/mnt/b.sock']) {
      const refused = await connectSocket(path).catch((error: Error) => error);
      expect(refused, path).toMatchObject({
        code: expect.stringMatching(/^(directory_unsafe|socket_unsafe|broker_not_running)$/),
      });
      expect(String(refused), path).not.toContain('chmod');
    }
    expect(String(await connectSocket('/tmp').catch((error: Error) => error))).toMatch(
      /is a directory.*\/tmp\/deye\/broker.sock/,
    );
  });

  test('missing parents are private, too, whatever the umask', () => {
    for (const umask of [0, 0o277]) {
      const top = join(root, `parents${umask}`);
      const before = process.umask(umask);
      try {
        ensurePrivateDirectory(join(top, 'a', 'b'));
      } finally {
        process.umask(before);
      }
      expect([top, join(top, 'a'), join(top, 'a', 'b')].map(mode)).toEqual(['700', '700', '700']);
    }
  });

  test('a path that is too long is refused, not cut', async () => {
    await expect(listen(join(directory, 'x'.repeat(120)), options)).rejects.toMatchObject({
      code: 'socket_path_too_long',
    });
  });

  test('a live socket is not replaced', async () => {
    const path = join(directory, 'b.sock');
    mkdirSync(directory, { mode: 0o700 });
    const first = await listen(path, options);
    await expect(listen(path, options)).rejects.toMatchObject({ code: 'socket_in_use' });
    await first.close();
  });

  test('what a killed process left behind is replaced, a file is not', async () => {
    const path = join(directory, 'b.sock');
    mkdirSync(directory, { mode: 0o700 });
    const { spawnSync } = await import('node:child_process');
    spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    expect(lstatSync(path).isSocket()).toBe(true);
    const listener = await listen(path, options);
    (await connectSocket(path)).destroy();
    await listener.close();
    writeFileSync(path, 'mine');
    await expect(listen(path, options)).rejects.toMatchObject({ code: 'socket_unsafe' });
  });

  test('a socket that is removed comes back, its directory too; what was connected stays', async () => {
    const path = join(directory, 'b.sock');
    const failed: (Error & { code?: string })[] = [];
    const accepted: Duplex[] = [];
    await using _listener = await listen(path, {
      ...options,
      accept: (stream: Duplex) => void accepted.push(stream),
      failed: (error: Error) => void failed.push(error),
    });
    const early = await connectSocket(path);
    let came = '';
    early.on('data', (chunk) => (came += chunk));
    for (const remove of [path, directory]) {
      rmSync(remove, { recursive: true });
      await until(() => existsSync(path), 'it is there again');
      expect([mode(path), mode(directory)]).toEqual(['600', '700']);
      (await connectSocket(path)).destroy();
    }
    expect(failed.map(({ code }) => code)).toEqual(['socket_removed', 'socket_removed']);
    await until(() => accepted.length === 3, 'all were accepted');
    accepted[0]!.write('still here');
    await until(() => came === 'still here', 'the first connection goes on');
    early.destroy();
  });

  test("another program's socket in its place is reported once and left alone", async () => {
    const path = join(directory, 'b.sock');
    const failed: (Error & { code?: string })[] = [];
    const listener = await listen(path, { ...options, failed: (error: Error) => void failed.push(error) });
    rmSync(path);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(path, resolve));
    await until(() => failed.length > 0, 'it is noticed');
    expect(failed).toMatchObject([{ code: 'socket_in_use' }]);
    await listener.close();
    expect(lstatSync(path).isSocket()).toBe(true);
    await new Promise((resolve) => other.close(resolve));
  });

  test('many find one stale socket: exactly one takes it, and it can be reached', { timeout: 120_000 }, async () => {
    const path = join(directory, 'b.sock');
    const racer = `
      import { listen } from ${JSON.stringify(new URL('../../src/transport/registry.ts', import.meta.url).href)};
      process.stdin.once('data', async () => {
        const outcome = await listen({ scheme: 'unix', path: process.argv[1] }, { accept: (stream) => stream.end(String(process.pid)), failed: console.error, handshakeMs: 1000 })
          .then(() => 'listening', (error) => error.code);
        console.log(outcome);
        process.stdin.once('data', () => process.kill(process.pid, 'SIGKILL')); // leaves a stale socket for the next round
      });
      console.log('ready');`;
    for (let round = 0; round < 5; round++) {
      const racers = Array.from({ length: 4 }, () => {
        const child = spawn(
          process.execPath,
          ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', racer, path],
          { stdio: ['pipe', 'pipe', 'inherit'] },
        );
        const lines: string[] = [];
        createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
        return { child, lines };
      });
      await until(() => racers.every(({ lines }) => lines.length === 1), 'all stand ready');
      for (const { child } of racers) child.stdin.write('go');
      await until(() => racers.every(({ lines }) => lines.length === 2), 'all have tried');
      expect(racers.map(({ lines }) => lines[1]).sort()).toEqual([
        'listening',
        'socket_in_use',
        'socket_in_use',
        'socket_in_use',
      ]);
      const owner = racers.find(({ lines }) => lines[1] === 'listening')!;
      const stream = await connectSocket(path);
      let pid = '';
      for await (const chunk of stream) pid += chunk;
      expect(pid).toBe(String(owner.child.pid));
      for (const { child } of racers) child.stdin.write('end');
      await until(() => racers.every(({ child }) => child.signalCode !== null), 'all are gone');
      expect(lstatSync(path).isSocket()).toBe(true);
    }
  });

  test("a closing listener leaves its successor's socket alone", async () => {
    const path = join(directory, 'b.sock');
    const first = await listen(path, options);
    rmSync(path);
    const successor = createServer();
    await new Promise<void>((resolve) => successor.listen(path, resolve));
    await first.close();
    expect(lstatSync(path).isSocket()).toBe(true);
    await new Promise((resolve) => successor.close(resolve));
  });

  test('no broker: said at once, with the way out', async () => {
    await expect(connectSocket(join(directory, 'none.sock'))).rejects.toMatchObject({
      code: 'broker_not_running',
      message: expect.stringMatching(/deye broker start/),
    });
  });
});

describe('the token handshake', () => {
  const secret = Buffer.alloc(32, 7);
  test('both sides prove themselves, and what follows is untouched', async () => {
    const [client, broker] = transportPair();
    await Promise.all([proveAsClient(client, secret, 1000), proveAsBroker(broker, secret, 1000)]);
    client.write('after');
    expect((await new Promise<Buffer>((resolve) => broker.once('data', resolve))).toString()).toBe('after');
  });
  test('a client without the secret is cut off', async () => {
    const [client, broker] = transportPair();
    const outcomes = await Promise.allSettled([
      proveAsClient(client, Buffer.alloc(32, 8), 1000),
      proveAsBroker(broker, secret, 1000),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(client.destroyed).toBe(true);
  });
  test('a false broker learns nothing and is found out', async () => {
    const [client, broker] = transportPair();
    broker.once('data', () => broker.write(Buffer.alloc(64, 1)));
    await expect(proveAsClient(client, secret, 1000)).rejects.toMatchObject({ code: 'wrong_token' });
  });
  test('silence ends it', async () => {
    const [, broker] = transportPair();
    await expect(proveAsBroker(broker, secret, 30)).rejects.toMatchObject({ message: expect.stringMatching(/30 ms/) });
  });
  test('a connection that is reset in the handshake harms nobody', async () => {
    const failed: (Error & { code?: string })[] = [];
    const listener = await listenOn(
      { scheme: 'pipe', directory },
      { ...options, failed: (error) => void failed.push(error) },
    );
    const { path } = readIdentity(directory);
    for (let at = 0; at < 20; at++) {
      const socket = createConnection(path);
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('connect', resolve));
      if (at % 2 === 0) socket.write(Buffer.alloc(32));
      socket.destroy();
    }
    await until(() => failed.length === 20, 'all were refused');
    expect(new Set(failed.map(({ code }) => code))).toEqual(new Set(['wrong_token']));
    (await dial({ scheme: 'pipe', directory }, { timeoutMs: 1000 })).destroy();
    await listener.close();
  });
  test('name and secret are in one file that only the user reads', () => {
    const identity = makeIdentity(directory);
    expect(mode(tokenFile(directory))).toBe('600');
    expect(readIdentity(directory)).toEqual(identity);
    expect(identity.path).toMatch(/deye-[0-9a-f]{32}$/);
    expect(makeIdentity(directory).path).not.toBe(identity.path);
    expect(() => readIdentity(dirname(directory))).toThrow(/deye broker start/);
  });
});
