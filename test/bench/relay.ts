/**
 * Messages per second through a broker. Frames are encoded beforehand and blasted through raw sockets; at the far end
 * bytes are counted, not parsed, so that the generator costs next to nothing. What is on its way is bounded, so no
 * server has to drop. CPU time is the server's own, from /proc.
 */
import { type BenchPeer, cpuSeconds } from './peer.ts';

export interface Throughput {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

const bodyBytes = 100;
const inFlightMax = 4 * 1024 * 1024;

export async function throughput(peer: BenchPeer, topics: number, seconds: number): Promise<Throughput> {
  const body = Buffer.alloc(bodyBytes, 0x61);
  const names = Array.from({ length: topics }, (_, at) => `bench.topic.t${String(at).padStart(2, '0')}`);
  const each = peer.deliveredBytes(names[0]!, body);
  let received = 0;
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  let wake: (() => void) | undefined;
  const counting = {
    buffer,
    callback: (bytes: number) => {
      received += bytes;
      wake?.();
      return true;
    },
  };
  const subscribers = await Promise.all(
    names.map(async (name) => {
      const socket = await peer.open(counting);
      await peer.subscribe(socket, name);
      return socket;
    }),
  );
  const publisher = await peer.open({ buffer: Buffer.allocUnsafe(65_536), callback: () => true });
  await settle(() => received);
  // Interleaved: one message of each topic after the other.
  const one = Buffer.concat(names.map((name) => peer.publish(name, body)));
  const perBlock = Math.max(1, Math.floor(262_144 / one.length));
  const block = Buffer.concat(Array.from({ length: perBlock }, () => one));
  const blockDelivered = perBlock * topics * each;

  const run = async (ms: number): Promise<{ messages: number; ms: number }> => {
    const from = received;
    let sent = 0;
    const startMs = performance.now();
    while (performance.now() - startMs < ms) {
      if (sent - (received - from) > inFlightMax) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
        continue;
      }
      sent += blockDelivered;
      if (!publisher.write(block)) await new Promise((resolve) => publisher.once('drain', resolve));
    }
    while (received - from < sent)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    wake = undefined;
    return { messages: sent / each, ms: performance.now() - startMs };
  };
  await run(500);
  const cpuBefore = cpuSeconds(peer.pid);
  const { messages, ms } = await run(seconds * 1000);
  const cpu = cpuSeconds(peer.pid) - cpuBefore;
  for (const socket of [...subscribers, publisher]) socket.destroy();
  return { perSecond: (messages / ms) * 1000, cpuMicros: (cpu / messages) * 1e6 };
}

/** Waits until nothing has come for a moment: greetings and acknowledgements are then behind us. */
async function settle(count: () => number): Promise<void> {
  for (let last = -1, quiet = 0; quiet < 5; quiet = count() === last ? quiet + 1 : 0) {
    last = count();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
