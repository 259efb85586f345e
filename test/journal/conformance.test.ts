import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { openJournal } from '../../src/journal/open.ts';
import { journalConformance } from '../conformance/journal.ts';
import { DiskTwin } from '../twins/disk.ts';

const rest = {
  sealMs: 100,
  later: () => {},
  wallMs: () => 0,
  failed: (error: Error) => {
    throw error;
  },
  randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
  witnesses: async () => ({}),
};

const scratch = mkdtempSync(join(tmpdir(), 'deye-journal-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const segmentBytes = 16 * 4096;

journalConformance('the file', async () => {
  const disk = fileDisk(mkdtempSync(join(scratch, 'j-')));
  return { segmentBytes, open: () => openJournal({ ...rest, disk, segmentBytes, sync: 'batch' }) };
});

journalConformance('the twin of the disk:', async () => {
  const twin = new DiskTwin();
  const nature = { tick: () => {}, chance: () => 0 };
  return { segmentBytes, open: () => openJournal({ ...rest, disk: twin.attach(nature), segmentBytes, sync: 'batch' }) };
});
