/**
 * `npm run bench`: deye against its peers in the same run, interleaved, best of N. Prints the table that stands in
 * the README. A peer that is not installed is left out, with a word.
 */
import { cpus } from 'node:os';
import { bareRoundTrip, deyeRoundTrip, natsRoundTrip, type RoundTrip } from './call.ts';
import { type BenchPeer, startDeye, startNats, startRedis } from './peer.ts';
import { type Throughput, throughput } from './relay.ts';

const rounds = Number(process.env.DEYE_BENCH_ROUNDS ?? 3);
const seconds = Number(process.env.DEYE_BENCH_SECONDS ?? 2);
const calls = Number(process.env.DEYE_BENCH_CALLS ?? 10_000);

const deye = await startDeye();
const nats = await startNats();
const redis = await startRedis();
for (const [name, peer] of [
  ['nats-server', nats],
  ['redis-server', redis],
] as const)
  if (peer === undefined) console.log(`${name} is not installed and is left out.`);
const peers = [deye, nats, redis].filter((peer): peer is BenchPeer & typeof deye => peer !== undefined);

const best = new Map<string, Throughput>();
for (let round = 0; round < rounds; round++)
  for (const topics of [1, 16])
    for (const peer of peers) {
      const key = `${topics} ${peer.name}`;
      const now = await throughput(peer, topics, seconds);
      const before = best.get(key);
      best.set(key, {
        perSecond: Math.max(now.perSecond, before?.perSecond ?? 0),
        cpuMicros: Math.min(now.cpuMicros, before?.cpuMicros ?? Number.POSITIVE_INFINITY),
      });
      process.stderr.write('.');
    }

const trips = new Map<string, RoundTrip>();
const keep = (name: string, now: RoundTrip) => {
  const before = trips.get(name);
  if (before === undefined || now.p50Micros < before.p50Micros) trips.set(name, now);
  process.stderr.write('.');
};
for (let round = 0; round < rounds; round++) {
  keep('deye', await deyeRoundTrip(deye, calls));
  if (nats !== undefined) keep('nats-server', await natsRoundTrip(nats, calls));
  keep('bare relay', await bareRoundTrip(calls));
}
process.stderr.write('\n');
for (const peer of peers) peer.stop();

const million = (perSecond: number) => `${(perSecond / 1e6).toFixed(2)} M/s`;
const times = (ratio: number) => `${ratio.toFixed(2)}×`;
console.log(
  `Machine: ${cpus().length} × ${cpus()[0]!.model.trim()}, ${process.platform} ${process.arch}, Node ${process.versions.node}.`,
);
console.log(
  `Peers: ${peers.map(({ name, version }) => (name === 'deye' ? 'deye (Unix socket)' : `${name} ${version} (${name === 'nats-server' ? 'loopback TCP' : 'Unix socket'})`)).join(', ')}.`,
);
console.log(`Best of ${rounds} interleaved rounds; bodies of 100 bytes.\n`);
console.log('| what | deye | peer | deye ÷ peer | promise |');
console.log('|---|---|---|---|---|');
const ours = (topics: number) => best.get(`${topics} deye`)!;
for (const topics of [1, 16])
  for (const peer of peers.slice(1)) {
    const what = topics === 1 ? 'one publisher, one subscriber' : '16 interleaved topics, 16 subscribers';
    const theirs = best.get(`${topics} ${peer.name}`)!;
    const promise = peer.name !== 'nats-server' ? ['', ''] : topics === 1 ? ['≥ 3×', '≤ 0.33×'] : ['≥ 1.5×', ''];
    console.log(
      `| ${what} | ${million(ours(topics).perSecond)} | ${peer.name} ${million(theirs.perSecond)} | ${times(ours(topics).perSecond / theirs.perSecond)} | ${promise[0]} |`,
    );
    console.log(
      `| … CPU of the server per message | ${ours(topics).cpuMicros.toFixed(3)} µs | ${peer.name} ${theirs.cpuMicros.toFixed(3)} µs | ${times(ours(topics).cpuMicros / theirs.cpuMicros)} | ${promise[1]} |`,
    );
  }
const trip = trips.get('deye')!;
for (const [name, promise] of [
  ['nats-server', '≤ 0.6×'],
  ['bare relay', '≤ 1.3×'],
] as const) {
  const theirs = trips.get(name);
  if (theirs !== undefined)
    console.log(
      `| call, round trip p50 (p99) | ${trip.p50Micros.toFixed(1)} (${trip.p99Micros.toFixed(1)}) µs | ${name} ${theirs.p50Micros.toFixed(1)} (${theirs.p99Micros.toFixed(1)}) µs | ${times(trip.p50Micros / theirs.p50Micros)} | ${promise} |`,
    );
}
process.exit(0);
