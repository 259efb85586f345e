import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dice } from '../journal/history.ts';
import { root } from '../source.ts';
import { killPoints } from './kill-points.ts';

const kills = Number(process.env.DEYE_KILLS ?? 20);

interface Life {
  readonly wasKilled: boolean;
  readonly lines: readonly string[];
}

const live = (directory: string, point: string, nth: number): Promise<Life> =>
  new Promise((resolve, reject) => {
    const args = ['--disable-warning=ExperimentalWarning', join(root, 'test/store/killed-store.ts')];
    execFile(process.execPath, [...args, directory, point, String(nth)], (error, stdout, stderr) => {
      const wasKilled = error?.signal === 'SIGKILL';
      if (error !== null && !wasKilled) reject(new Error(`at ${point}, time ${nth}: ${stderr}${stdout}`));
      else resolve({ wasKilled, lines: stdout.split('\n').slice(0, -1) });
    });
  });

test(`a store on real files that is killed at every named step, ${kills} times, has all that it answered`, {
  timeout: 3_600_000,
}, async () => {
  const seed = Number(process.env.DEYE_SEED ?? Date.now() % 1e6);
  console.log(`seed ${seed}`);
  const chance = dice(seed);
  const steps = [...killPoints].sort(() => chance() - 0.5);
  const reached = new Set<string>();
  let directory = '';
  let [killed, answered] = [0, 0];
  for (let life = 0; killed < kills; life++) {
    expect(life).toBeLessThan(3 * kills + 30);
    // A young store now and then, so that its beginning is killed as well.
    if (life % 12 === 0) {
      if (directory !== '') rmSync(directory, { recursive: true });
      directory = mkdtempSync(join(tmpdir(), 'deye-killed-'));
      answered = 0;
    }
    const [point, most] = steps[life % steps.length]!;
    const nth = 1 + Math.floor(chance() * most);
    const { wasKilled, lines } = await live(directory, point, nth);
    if (wasKilled) {
      killed++;
      reached.add(point);
    }
    for (const line of lines) {
      const [word, number] = line.split(' ');
      if (word === 'found') {
        expect(line, `life ${life}, after ${answered}`).toBe(`found ${number} whole`);
        expect([answered, answered + 1]).toContain(Number(number));
        answered = Number(number);
      }
      if (word === 'answered') answered = Number(number);
    }
  }
  const { lines } = await live(directory, 'none', 1);
  expect(lines[0]).toMatch(/^found \d+ whole$/);
  expect(lines.at(-1)).toBe('closed');
  rmSync(directory, { recursive: true });
  // Every step is passed by a store that grows; only a removal needs more room than is kept.
  expect(reached.size).toBeGreaterThanOrEqual(Math.min(kills, killPoints.length) * 0.6);
});
