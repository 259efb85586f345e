/** The journal on the files of a directory. */
import { randomBytes } from 'node:crypto';
import { fileDisk } from '../journal/file-disk.ts';
import { openJournal, type RecoveryWatch } from '../journal/open.ts';
import type { Journal } from '../journal/port.ts';

const segmentBytesDefault = 64 * 1024 * 1024;
const sealMs = 100;

type JournalOptions = Parameters<typeof openJournal>[0];

interface JournalFilesOptions extends RecoveryWatch, Pick<JournalOptions, 'failed' | 'synced' | 'witnesses'> {
  /** Of the largest segment. */
  readonly segmentBytes?: number | undefined;
  /** A number of ms: an append is done before it is synced, that many ms later. */
  readonly sync?: JournalOptions['sync'];
}

export const openJournalIn = (
  directory: string,
  { segmentBytes = segmentBytesDefault, sync = 'batch', ...options }: JournalFilesOptions,
): Promise<Journal> =>
  openJournal({
    ...options,
    disk: fileDisk(directory),
    segmentBytes,
    sync,
    sealMs,
    later: (ms, run) => void setTimeout(run, ms).unref(),
    wallMs: () => Date.now(),
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
  });
