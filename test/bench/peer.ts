/** The servers that are measured: started here, on this machine only, and ended when the run is over. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type OnReadOpts, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface BenchPeer {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  /** A connection on which the protocol's greeting is done. `onread` gets all later bytes. */
  open(onread?: OnReadOpts): Promise<Socket>;
  subscribe(socket: Socket, topic: string): Promise<void>;
  /** One message as the publisher sends it. */
  publish(topic: string, body: Buffer): Buffer;
  /** How many bytes one message is at the subscriber. */
  deliveredBytes(topic: string, body: Buffer): number;
  stop(): void;
}

/** User and system time of a process so far, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const scratch = mkdtempSync(join(tmpdir(), 'deye-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

function versionOf(program: string, pattern: RegExp): string | undefined {
  const ran = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return ran.error === undefined ? (pattern.exec(ran.stdout + ran.stderr)?.[1] ?? '?') : undefined;
}

async function dial(to: string | { port: number }, onread?: OnReadOpts): Promise<Socket> {
  for (let left = 200; ; left--) {
    const socket =
      typeof to === 'string'
        ? connect({ path: to, ...(onread && { onread }) })
        : connect({ host: '127.0.0.1', port: to.port, ...(onread && { onread }) });
    const failed = await new Promise<Error | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    if (failed === undefined) {
      socket.setNoDelay?.(true);
      return socket;
    }
    if (left === 0) throw failed;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A free port on the loopback. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const end = (child: ChildProcess): void => void child.kill('SIGTERM');

// ── deye ──

const frame = (parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
};
const str = (text: string): Buffer =>
  Buffer.concat([Buffer.from(text.length < 32 ? [0xa0 + text.length] : [0xd9, text.length]), Buffer.from(text)]);
const bin = (body: Buffer): Buffer => Buffer.concat([Buffer.from([0xc5, body.length >> 8, body.length & 0xff]), body]);
const map = (entries: Record<string, string>): Buffer =>
  Buffer.concat([
    Buffer.from([0x80 + Object.keys(entries).length]),
    ...Object.entries(entries).flatMap(([key, value]) => [str(key), str(value)]),
  ]);
const hello = (role: string): Buffer => frame([Buffer.from([0x92, 0]), map({ protocol: '1.0', name: 'bench', role })]);
/** The first request of a session: its id is the smallest there is, its timeout the broker's. */
const request = (target: string, method: string, params: Buffer): Buffer =>
  frame([Buffer.from([0x96, 5, 0xce, 0, 1, 0, 0]), str(target), str(method), params, Buffer.from([0])]);
export const deyeFrame = { frame, str, bin, hello, request };

export async function startDeye(): Promise<BenchPeer & { readonly socket: string }> {
  const main = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
  const socketPath = join(scratch, 'd', 'broker.sock');
  const profile =
    process.env.DEYE_BENCH_PROFILE === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${process.env.DEYE_BENCH_PROFILE}`];
  const child = spawn(
    process.execPath,
    [
      ...profile,
      main,
      'broker',
      'start',
      '--foreground',
      '--no-collectors',
      '--socket',
      socketPath,
      '--state-dir',
      join(scratch, 's'),
      '--log-level',
      'error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return {
    name: 'deye',
    version: process.versions.node,
    pid: child.pid!,
    socket: socketPath,
    async open(onread) {
      const socket = await dial(socketPath, onread);
      socket.write(hello('operator'));
      return socket;
    },
    async subscribe(socket, topic) {
      const params = Buffer.concat([Buffer.from([0x81]), str('patterns'), Buffer.from([0x91]), str(topic)]);
      socket.write(request('broker', 'topic.subscribe', params));
    },
    publish: (topic, body) => frame([Buffer.from([0x93, 2]), str(topic), bin(body)]),
    deliveredBytes: (topic, body) => frame([Buffer.from([0x93, 2]), str(topic), bin(body)]).length,
    stop: () => end(child),
  };
}

// ── nats-server ──

export async function startNats(): Promise<BenchPeer | undefined> {
  const version = versionOf('nats-server', /v(\d\S*)/);
  if (version === undefined) return undefined;
  const port = await freePort();
  const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const publish = (topic: string, body: Buffer) =>
    Buffer.concat([Buffer.from(`PUB ${topic} ${body.length}\r\n`), body, Buffer.from('\r\n')]);
  return {
    name: 'nats-server',
    version,
    pid: child.pid!,
    async open(onread) {
      const socket = await dial({ port }, onread);
      socket.write('CONNECT {"verbose":false,"pedantic":false}\r\n');
      return socket;
    },
    async subscribe(socket, topic) {
      socket.write(`SUB ${topic} 1\r\n`);
    },
    publish,
    deliveredBytes: (topic, body) => `MSG ${topic} 1 ${body.length}\r\n`.length + body.length + 2,
    stop: () => end(child),
  };
}

// ── redis-server, publish/subscribe ──

export async function startRedis(): Promise<BenchPeer | undefined> {
  const version = versionOf('redis-server', /v=(\S+)/);
  if (version === undefined) return undefined;
  const path = join(scratch, 'redis.sock');
  const child = spawn(
    'redis-server',
    [
      '--port',
      '0',
      '--unixsocket',
      path,
      '--save',
      '',
      '--appendonly',
      'no',
      '--client-output-buffer-limit',
      'pubsub 0 0 0',
    ],
    { stdio: 'ignore', cwd: scratch },
  );
  const bulk = (...parts: (string | Buffer)[]) =>
    Buffer.concat([
      Buffer.from(`*${parts.length}\r\n`),
      ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), Buffer.from(part), Buffer.from('\r\n')]),
    ]);
  return {
    name: 'redis-server',
    version,
    pid: child.pid!,
    open: (onread) => dial(path, onread),
    async subscribe(socket, topic) {
      socket.write(bulk('SUBSCRIBE', topic));
    },
    publish: (topic, body) => bulk('PUBLISH', topic, body),
    deliveredBytes: (topic, body) => bulk('message', topic, body).length,
    stop: () => end(child),
  };
}
