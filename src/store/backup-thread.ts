/** The thread of a backup: it reads and checksums whole segments, for which the loop has no time. */
import { parentPort, workerData } from 'node:worker_threads';
import { type BackupPosition, copyStore } from './backup.ts';
import type { Manifest } from './manifest.ts';
import { StoreError } from './port.ts';

export interface BackupTask {
  readonly directory: string;
  readonly draft: string;
  readonly version: string;
  readonly wallMs: number;
  /** One 32-bit number: not zero when the backup is to end. */
  readonly stop: SharedArrayBuffer;
}

/** The answer to `position` is a BackupPosition. */
export type BackupMessage =
  | { readonly kind: 'position' }
  | { readonly kind: 'done'; readonly manifest: Manifest }
  | {
      readonly kind: 'failed';
      readonly error: {
        readonly name: string;
        readonly message: string;
        readonly code?: string;
        readonly syscall?: string;
      };
    };

const port = parentPort!;
const { directory, draft, version, wallMs, stop } = workerData as BackupTask;
const stopped = new Int32Array(stop);
const say = (message: BackupMessage): void => port.postMessage(message);

const position = (): Promise<BackupPosition> =>
  new Promise((resolve) => {
    port.once('message', resolve);
    say({ kind: 'position' });
  });

const progress = (): void => {
  if (Atomics.load(stopped, 0) !== 0) throw new StoreError('upkeep_ended', 'The backup was ended.');
};

try {
  say({ kind: 'done', manifest: await copyStore(directory, draft, true, position, { version, wallMs, progress }) });
} catch (cause) {
  const { name, message, code, syscall } = cause as NodeJS.ErrnoException;
  say({
    kind: 'failed',
    error: { name, message, ...(code === undefined ? {} : { code }), ...(syscall === undefined ? {} : { syscall }) },
  });
}
port.close();
