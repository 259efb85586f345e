/**
 * Hostile clients as a process of their own: `node test/hostile/clients.ts SOCKET TASK_ID`. Eight observers that ask and
 * never read, each of another kind; who is disconnected comes back at once. Says "ready" when all are there.
 */
import { createConnection, type Socket } from 'node:net';
import { encodeFrame, FrameReader, Kind } from '../../src/protocol/frame.ts';
import { decodeValue } from '../../src/protocol/msgpack.ts';

const [, , path = '', taskId = ''] = process.argv;
const everyMs = 20;
/** What the system does not take for it is not piled up here. */
const backlogBytesMax = 256 * 1024;

let nextId = 65_536;
const id = (): number => {
  nextId = nextId >= 4_000_000_000 ? 65_536 : nextId + 1;
  return nextId;
};
const ask = (method: string, params: unknown, target = 'broker', timeoutMs = 0): Buffer =>
  encodeFrame([Kind.request, id(), target, method, params, timeoutMs]);

function connect(role: string, opened: (socket: Socket) => void): void {
  const socket = createConnection(path);
  socket.on('error', () => {});
  socket.on('close', () => setTimeout(() => connect(role, opened), 100));
  socket.write(encodeFrame([Kind.hello, { protocol: '1.0', name: `hostile ${role}`, role }]));
  opened(socket);
}

/** One that says `first`, then `perSecond` frames a second, and reads nothing. */
function deaf(perSecond: number, frame: () => Buffer, first: () => readonly Buffer[] = () => []): void {
  connect('observer', (socket) => {
    socket.pause();
    for (const one of first()) socket.write(one);
    const timer = setInterval(() => {
      if (socket.destroyed) return clearInterval(timer);
      for (let count = perSecond / (1000 / everyMs); count > 0 && socket.writableLength < backlogBytesMax; count--)
        socket.write(frame());
    }, everyMs);
  });
}

/** A collector that answers every call with a stream that does not end before it is cancelled. */
function streamer(): void {
  const part = Buffer.alloc(64 * 1024);
  connect('collector', (socket) => {
    socket.write(
      ask('collector.register', { collector_id: 'streamer', collector_type: 't', operations: [{ name: 'stream' }] }),
    );
    const open = new Set<number>();
    const reader = new FrameReader(1 << 24);
    socket.on('data', (chunk: Buffer) =>
      reader.feed(chunk, {
        frame(bytes, start, end) {
          const [kind, call] = decodeValue(bytes, start + 4, end) as [number, number];
          if (kind === Kind.request) open.add(call);
          if (kind === Kind.cancel) open.delete(call);
          return true;
        },
      }),
    );
    const timer = setInterval(() => {
      if (socket.destroyed) return clearInterval(timer);
      for (const call of open)
        if (socket.writableLength < backlogBytesMax) socket.write(encodeFrame([Kind.chunk, call, part]));
    }, everyMs);
  });
}

function publisher(): void {
  const frame = encodeFrame([Kind.publish, 'hostile.news', Buffer.alloc(2048)]);
  const frames = Buffer.concat(Array.from({ length: 40 }, () => frame));
  connect('operator', (socket) => {
    const timer = setInterval(() => {
      if (socket.destroyed) return clearInterval(timer);
      if (socket.writableLength < backlogBytesMax) socket.write(frames);
    }, everyMs);
    socket.resume();
  });
}

let sequence = 0;
streamer();
publisher();
deaf(100, () => ask('task.show', { id: taskId, include: ['payload'] }));
deaf(50, () => ask('health_check', {}, 'streamer', 60_000));
deaf(5000, () => encodeFrame([Kind.ping, 1]));
deaf(
  2000,
  () => encodeFrame([Kind.cancel, id()]),
  () => Array.from({ length: 2000 }, () => ask('task.wait', { id: taskId }, 'broker', 3_600_000)),
);
deaf(2000, () => encodeFrame([Kind.publishConfirmed, ++sequence, 'not.allowed', 1]));
deaf(
  50,
  () => encodeFrame([Kind.ping, 1]),
  () => [ask('topic.subscribe', { patterns: ['hostile.#'] })],
);
deaf(100, () => ask('broker.snapshot', {}));
deaf(50, () => ask('task.list', { limit: 1000 }));
process.stdout.write('ready\n');
