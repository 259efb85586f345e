/** A copy of the tree with a mistake in it, and what the histories say there. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../source.ts';
import type { SearchKind, StorePlant } from './plants.ts';

/** What finds the mistake, in how many seeds at most; undefined when nothing does. */
export async function findsPlanted({ by = 'store', edits }: StorePlant, seedsMax: number): Promise<string | undefined> {
  const copy = mkdtempSync(join(realpathSync(tmpdir()), 'deye-planted-'));
  try {
    for (const name of ['src', 'package.json', 'test/store', 'test/journal', 'test/twins', 'test/conformance'])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(realpathSync(join(root, 'node_modules')), join(copy, 'node_modules'));
    for (const [file, from, to] of edits) {
      const text = readFileSync(join(copy, file), 'utf8');
      assert.equal(text.split(from).length, 2, `${JSON.stringify(from)} stands once in ${file}`);
      writeFileSync(
        join(copy, file),
        text.replace(from, () => to),
      );
    }
    const found = await search(copy, by, seedsMax);
    assert.doesNotMatch(found, /ReferenceError|SyntaxError|is not a function/, 'the edit is no program');
    return found.trim() || undefined;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const search = (tree: string, kind: SearchKind, seedsMax: number): Promise<string> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(tree, 'test/store/search.ts'), kind, String(seedsMax)], (error, stdout, stderr) =>
      // A mistake may also end the process, by a rejection that nobody awaits.
      resolve(error === null ? stdout : `ends: ${stderr}`),
    );
  });
