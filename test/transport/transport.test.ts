import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { defaultSocket, defaultStateDir, pipeAddress } from '../../src/transport/address.ts';
import { connectSocket } from '../../src/transport/connect.ts';
import { listen } from '../../src/transport/listen.ts';
import { transportPair } from '../../src/transport/pair.ts';
import { makePipeIdentity, readPipeIdentity } from '../../src/transport/pipe.ts';
import { ensurePrivateDirectory } from '../../src/transport/private-directory.ts';
import { proveAsBroker, proveAsClient } from '../../src/transport/token.ts';
import { missing } from '../interop/missing.ts';

const root = mkdtempSync(join(tmpdir(), 'deye-transport-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directory = '';
let made = 0;
beforeEach(() => {
  directory = join(root, `d${++made}`);
});
const options = { accept: () => {}, failed: () => {} };
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('addresses', () => {
  test('the runtime directory, a directory of the user, or what is said', () => {
    expect(defaultSocket({ XDG_RUNTIME_DIR: '/run/user/1' })).toBe('/run/user/1/deye/broker.sock');
    expect(defaultSocket({})).toBe(join(tmpdir(), `deye-${process.getuid!()}`, 'broker.sock'));
    expect(defaultSocket({ DEYE_SOCKET: '/x/y.sock', XDG_RUNTIME_DIR: '/run' })).toBe('/x/y.sock');
    expect(defaultStateDir({ XDG_STATE_HOME: '/s' })).toBe('/s/deye');
    expect(defaultStateDir({ DEYE_STATE_DIR: '/t' })).toBe('/t');
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
      expect(readdirSync(directory)).toEqual([]);
      rmSync(directory, { recursive: true });
    }
    process.umask(before);
    Atomics.store(flags, 0, 1);
    expect([...(await seen)].sort()).toEqual(['directory 700', 'socket 600']);
  });

  test('a directory that is open, a link, or no directory is refused', async () => {
    mkdirSync(directory, { mode: 0o755 });
    chmodSync(directory, 0o755);
    await expect(listen(join(directory, 'b.sock'), options)).rejects.toMatchObject({
      code: 'directory_unsafe',
      message: expect.stringMatching(/755.*chmod 700/),
    });
    await expect(connectSocket(join(directory, 'b.sock'))).rejects.toMatchObject({ code: 'directory_unsafe' });
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
  test('name and secret are in one file that only the user reads', () => {
    const identity = makePipeIdentity(directory);
    expect(mode(join(directory, 'token'))).toBe('600');
    expect(readPipeIdentity(directory)).toEqual(identity);
    expect(identity.address).toBe(pipeAddress(identity.secret));
    expect(identity.address).toMatch(/^\\\\\.\\pipe\\deye-[0-9a-f]{32}$/);
    expect(() => readPipeIdentity(dirname(directory))).toThrow(/deye broker start/);
  });
});
