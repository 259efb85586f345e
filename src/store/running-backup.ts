/**
 * A backup of a store that its broker writes to. The floor is held, and a thread copies; here stays what touches the
 * journal, so commits go on as before.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BookError } from '../book/error.ts';
import { type Journal, JournalError } from '../journal/port.ts';
import type { BackupPosition } from './backup.ts';
import type { BackupMessage, BackupTask } from './backup-thread.ts';
import type { Manifest } from './manifest.ts';
import { buildDirectory } from './new-directory.ts';
import { type BackupOptions, StoreError } from './port.ts';

const holdName = 'backup';

type BackupJournal = Pick<Journal, 'storeId' | 'epoch' | 'first' | 'synced' | 'sync' | 'hold'>;

/** Rejects with the reason of the signal when that is aborted, and when all of the copy is removed. */
export async function backupRunning(
  directory: string,
  journal: BackupJournal,
  to: string,
  { version, wallMs, signal }: BackupOptions,
): Promise<Manifest> {
  const stop = new SharedArrayBuffer(4);
  const end = (): void => void Atomics.store(new Int32Array(stop), 0, 1);
  signal?.addEventListener('abort', end);
  journal.hold(holdName, journal.first);
  try {
    signal?.throwIfAborted();
    await journal.sync(); // a floor that was stated before the hold is obeyed before the copy looks
    signal?.throwIfAborted();
    return await buildDirectory(to, (draft) => copy({ directory, draft, version, wallMs, stop }, journal));
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', end);
    journal.hold(holdName, undefined);
  }
}

function copy(task: BackupTask, journal: BackupJournal): Promise<Manifest> {
  const file = new URL(`./backup-thread${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: task, execArgv: ['--disable-warning=ExperimentalWarning'] });
  let outcome: Exclude<BackupMessage, { kind: 'position' }> | undefined;
  const { promise, resolve, reject } = Promise.withResolvers<Manifest>();
  worker.on('message', (message: BackupMessage) => {
    if (message.kind === 'position') void answer(worker, journal);
    else outcome = message;
  });
  worker.on('error', reject);
  // Only when it is gone does it write nothing more into the draft.
  worker.on('exit', () => {
    if (outcome?.kind === 'done') resolve(outcome.manifest);
    else reject(outcome === undefined ? new Error('its thread ended before it was done') : errorOf(outcome.error));
  });
  return promise;
}

/** Up to where it is synced now. A journal that has failed is synced up to where it was: the copy is of that. */
async function answer(worker: Worker, journal: BackupJournal): Promise<void> {
  await journal.sync().catch(() => {});
  const { storeId, epoch, synced } = journal;
  worker.postMessage({ storeId, epoch, synced } satisfies BackupPosition);
}

/** As it was thrown in the thread. */
function errorOf({ name, message, code, syscall }: Extract<BackupMessage, { kind: 'failed' }>['error']): Error {
  switch (name) {
    case 'StoreError':
      return new StoreError(code as StoreError['code'], message);
    case 'JournalError':
      return new JournalError(code as JournalError['code'], message);
    case 'BookError':
      return new BookError(code as BookError['code'], message);
    default:
      return Object.assign(new Error(message), { code, syscall });
  }
}
