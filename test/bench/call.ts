/**
 * The round trip of a call: caller → server → callee → server → caller, one at a time. Caller and callee are raw
 * sockets in this process for every peer, so the difference is the server's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type BenchPeer, deyeFrame, scratch } from './peer.ts';

export interface RoundTrip {
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** `once` sends one request and calls back when its reply is there. */
async function measure(once: (replied: () => void) => void, calls: number): Promise<RoundTrip> {
  const times = new Float64Array(calls);
  for (let at = -Math.floor(calls / 10); at < calls; at++) {
    const startMs = performance.now();
    await new Promise<void>((resolve) => once(resolve));
    if (at >= 0) times[at] = (performance.now() - startMs) * 1000;
  }
  times.sort();
  return { p50Micros: times[Math.floor(calls / 2)]!, p99Micros: times[Math.floor(calls * 0.99)]! };
}

/** Where the chunk's first frame of this kind begins, or -1: a ping may come in the same chunk, before it. */
function frameAt(chunk: Buffer, kind: number): number {
  for (let at = 0; at + 6 <= chunk.length; at += 4 + chunk.readUInt32BE(at)) if (chunk[at + 5] === kind) return at;
  return -1;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const text = Buffer.alloc(100, 0x61);

export async function deyeRoundTrip(peer: BenchPeer, calls: number): Promise<RoundTrip> {
  const { frame, str, bin, hello, request } = deyeFrame;
  const isUp = await peer.open();
  isUp.destroy();
  const collector = connect((peer as BenchPeer & { socket: string }).socket);
  collector.write(hello('collector'));
  const registration = Buffer.concat([
    Buffer.from([0x83]),
    str('collector_id'),
    str('bench'),
    str('collector_type'),
    str('bench'),
    str('operations'),
    Buffer.from([0x91, 0x81]),
    str('name'),
    str('echo'),
  ]);
  collector.write(request('broker', 'collector.register', registration));
  await pause(200);
  collector.on('data', (chunk: Buffer) => {
    const at = frameAt(chunk, 5);
    if (at < 0) return; // a ping or a late reply
    const reply = frame([Buffer.from([0x94, 6]), chunk.subarray(at + 6, at + 11), Buffer.from([0]), bin(text)]);
    collector.write(reply);
  });
  const caller = await peer.open();
  const call = request('bench', 'echo', bin(text));
  await pause(200);
  caller.removeAllListeners('data');
  let replied: () => void = () => {};
  caller.on('data', (chunk: Buffer) => frameAt(chunk, 6) >= 0 && replied());
  const result = await measure((done) => {
    replied = done;
    caller.write(call);
  }, calls);
  collector.destroy();
  caller.destroy();
  return result;
}

export async function natsRoundTrip(peer: BenchPeer, calls: number): Promise<RoundTrip> {
  const callee = await peer.open();
  const caller = await peer.open();
  callee.write('SUB echo 1\r\n');
  caller.write('SUB _INBOX.bench 2\r\n');
  await pause(200);
  callee.on('data', (chunk: Buffer) => {
    if (!chunk.includes('MSG ')) return; // a PING may come alone, or before it
    callee.write(Buffer.concat([Buffer.from(`PUB _INBOX.bench ${text.length}\r\n`), text, Buffer.from('\r\n')]));
  });
  let replied: () => void = () => {};
  caller.on('data', (chunk: Buffer) => chunk.includes('MSG ') && replied());
  const request = Buffer.concat([Buffer.from(`PUB echo _INBOX.bench ${text.length}\r\n`), text, Buffer.from('\r\n')]);
  await pause(100);
  const result = await measure((done) => {
    replied = done;
    caller.write(request);
  }, calls);
  callee.destroy();
  caller.destroy();
  return result;
}

/** The floor: a process that passes bytes from one socket to the other and back, and does nothing else. */
const bareRelay = `
const { createServer } = require('node:net');
let first;
createServer((socket) => {
  if (first === undefined) { first = socket; return; }
  first.on('data', (chunk) => socket.write(chunk));
  socket.on('data', (chunk) => first.write(chunk));
}).listen(process.argv[1]);
`;

export async function bareRoundTrip(calls: number): Promise<RoundTrip> {
  const path = join(scratch, `bare-${process.hrtime.bigint()}.sock`);
  const child: ChildProcess = spawn(process.execPath, ['-e', bareRelay, path], { stdio: 'ignore' });
  await pause(300);
  const open = async (): Promise<Socket> => {
    const socket = connect(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  };
  const callee = await open();
  const caller = await open();
  const message = Buffer.alloc(125, 0x61);
  await pause(100);
  callee.on('data', (chunk: Buffer) => callee.write(chunk));
  let replied: () => void = () => {};
  caller.on('data', () => replied());
  const result = await measure((done) => {
    replied = done;
    caller.write(message);
  }, calls);
  callee.destroy();
  caller.destroy();
  child.kill();
  return result;
}
