/**
 * What eight hostile clients cost a good one: `node test/hostile/measure.ts [SECONDS [ROUNDS]]`, after a build. Alone and
 * beside them in turns, so that a busy machine touches both.
 */
import { line, measure } from './scene.ts';

const seconds = Number(process.argv[2] ?? 15);
const rounds = Number(process.argv[3] ?? 2);

for (let round = 0; round < rounds; round++) {
  const alone = await measure({ seconds, hostile: false });
  console.log(line('alone', alone));
  const beside = await measure({ seconds, hostile: true });
  console.log(line('beside eight', beside));
  console.log(`p99 is ${(beside.p99Ms / alone.p99Ms).toFixed(1)} times that of being alone`);
}
