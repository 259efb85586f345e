/** Before all tests: where they write what they speak. After them, when all were run and passed: what nobody spoke. */
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import { everything, spokenVariable } from './spoken.ts';

export default function ({ vitest, config }: TestProject): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'deye-spoken-'));
  process.env[spokenVariable] = directory;
  return () => {
    const spoken = new Set(
      readdirSync(directory).flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n')),
    );
    rmSync(directory, { recursive: true });
    const all = config.include.flatMap((pattern) => globSync(pattern, { cwd: config.root }));
    const ran = new Map(vitest.state.getFiles().map((file) => [file.filepath, file.result?.state]));
    const whole =
      vitest.config.testNamePattern === undefined &&
      all.length > 0 &&
      all.every((file) => ran.get(resolve(config.root, file)) === 'pass');
    const missing = everything().filter((item) => !spoken.has(item));
    if (process.env.DEYE_SPOKEN_LIST !== undefined) console.error(`never spoken:\n  ${missing.join('\n  ')}`);
    if (whole && missing.length > 0)
      throw new Error(
        `No test speaks these rows of the tables (see test/tables/spoken.ts):\n  ${missing.join('\n  ')}`,
      );
  };
}
