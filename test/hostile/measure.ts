/**
 * What eight hostile clients cost a good one: `node test/hostile/measure.ts [SECONDS [ROUNDS]]`, after a build. Alone and
 * beside them in turns, so that a busy machine touches both.
 */
import { type Measured, measure } from './scene.ts';

const seconds = Number(process.argv[2] ?? 15);
const rounds = Number(process.argv[3] ?? 2);

const line = (what: string, one: Measured): string =>
  [
    what.padEnd(14),
    `${one.answered}/${one.submitted} answered`,
    `p50 ${one.p50Ms.toFixed(1)} ms`,
    `p99 ${one.p99Ms.toFixed(1)} ms`,
    `longest ${one.longestMs.toFixed(0)} ms`,
    `broker ${(one.rssMaxBytes / 2 ** 20).toFixed(0)} MiB, ${one.brokerCores.toFixed(2)} cores`,
    `hostile ${one.hostileCores.toFixed(2)} cores`,
    `${one.dropped} dropped`,
  ].join('  ');

for (let round = 0; round < rounds; round++) {
  const alone = await measure({ seconds, hostile: false });
  console.log(line('alone', alone));
  const beside = await measure({ seconds, hostile: true });
  console.log(line('beside eight', beside));
  console.log(`p99 is ${(beside.p99Ms / alone.p99Ms).toFixed(1)} times that of being alone`);
}
