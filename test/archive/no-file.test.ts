/** What is no regular file, where one of a store should be, is refused by its name by all that read a store. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readContents } from '../../src/archive/contents.ts';
import { salvageStore } from '../../src/archive/salvage.ts';
import { verifyStore } from '../../src/archive/verify.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { loadAt } from '../conformance/records.ts';
import { Scratch, segmentBytes } from '../store/fixture.ts';

const scratch = new Scratch();
let sound: string;
beforeAll(async () => {
  sound = await scratch.sound();
});
afterAll(() => scratch[Symbol.dispose]());

async function started(directory: string): Promise<void> {
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load(loadAt(1)).finally(() => store.close());
}

const stands: Readonly<Record<string, (path: string) => void>> = {
  'a FIFO': (path) => void execFileSync('mkfifo', [path]),
  'a directory': (path) => void mkdirSync(path),
  'a symbolic link': (path) => {
    symlinkSync(`${path}.moved`, path);
  },
};

describe.each(['book.db', 'journal/000000000002.journal', 'journal/journal.json'])('%s', (name) => {
  describe.each(Object.keys(stands))('%s', (what) => {
    test.each<[string, (directory: string) => Promise<unknown>]>([
      ['start', started],
      ['verify', (directory) => verifyStore(directory, { isMoving: false })],
      ['salvage', (directory) => salvageStore(directory, scratch.path(), { acceptGap: true })],
      ['export', (directory) => readContents(directory)],
    ])('%s', { timeout: 10_000 }, async (_, look) => {
      const directory = scratch.copy(sound);
      const path = join(directory, name);
      renameSync(path, `${path}.moved`);
      stands[what]!(path);
      const refusal: Error = await look(directory).then(
        () => new Error('It was read.'),
        (error: Error) => error,
      );
      expect(refusal).toMatchObject({ name: 'StoreError', code: 'store_unsafe' });
      expect(refusal.message).toContain(path);
      expect(refusal.message).toMatch(/Move it away, and put the file itself there if it is elsewhere\.$/);
    });
  });
});
