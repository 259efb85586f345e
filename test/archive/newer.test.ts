/** A store of a newer deye is not damaged: whatever reads one says so, as a start does, and advises no salvage. */
import { existsSync, mkdirSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { readContents } from '../../src/archive/contents.ts';
import { salvageStore } from '../../src/archive/salvage.ts';
import { verifyStore } from '../../src/archive/verify.ts';
import { Writer } from '../../src/core/bytes.ts';
import { storeLevel, writeRecord } from '../../src/core/record-bytes.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { statusAtRest } from '../../src/store/status.ts';
import { loadAt } from '../conformance/records.ts';
import { Scratch, segmentBytes, written } from '../store/fixture.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

const levelOf = (level: number): Uint8Array => {
  const writer = new Writer();
  writeRecord(writer, { kind: 'level', level });
  return writer.written;
};

async function started(directory: string): Promise<void> {
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load(loadAt(1)).finally(() => store.close());
}

describe.each([
  ['a level beyond ours', levelOf(storeLevel + 1), `The journal has level ${storeLevel + 1}`],
  ['a kind of record that is unknown', Uint8Array.of(99, 1, 0, 0, 0, 0), 'record kind 99, version 1'],
  ['a version of a record that is unknown', levelOf(storeLevel).with(1, 9), 'version 9'],
])('%s', (_, body, what) => {
  test.each<[string, (directory: string) => Promise<unknown>]>([
    ['start', started],
    ['verify', (directory) => verifyStore(directory, { isMoving: false })],
    ['salvage', (directory) => salvageStore(directory, scratch.path('salvaged'), { acceptGap: true })],
    ['export', (directory) => readContents(directory)],
    ['status', (directory) => statusAtRest(directory)],
  ])('%s', async (_, look) => {
    const directory = scratch.path();
    mkdirSync(directory);
    await written(directory, 1, body);
    const refusal = await look(directory).then(
      () => undefined,
      (error: Error) => error,
    );
    expect(refusal).toMatchObject({ name: 'StoreError', code: 'store_newer' });
    expect(refusal!.message).toContain(what);
    expect(refusal!.message).toContain('Start the newer deye that wrote it.');
    expect(refusal!.message).not.toContain('salvage');
    expect(existsSync(scratch.path('salvaged'))).toBe(false);
  });
});
