/** What is done with a store while it runs, beside its commits: looked at, copied, compacted. The last two one at a time. */
import type { BackedUp, Compacted, StoreStatus } from '../protocol/store-methods.ts';
import { type CompactParts, compact } from './compact.ts';
import { explainPart } from './journal-error.ts';
import { liesIn } from './lies-in.ts';
import { summaryOf } from './manifest.ts';
import { type BackupOptions, StoreError, type UpkeepOptions } from './port.ts';
import { relieve } from './relieve.ts';
import { backupRunning } from './running-backup.ts';
import { type StatusParts, statusOf } from './status.ts';

/** A backup may keep so many times what the journal may have anyway. */
const holdMost = 4;

interface UpkeepParts extends CompactParts, StatusParts {
  /** What the journal may have before something is written again. */
  readonly boundBytes: () => number;
}

interface Running {
  readonly what: string;
  readonly stop: AbortController;
  readonly ended: Promise<unknown>;
  /** Of the journal when a backup began. */
  readonly usedBytes: number | undefined;
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  #running: Running | undefined;
  #relieving: Promise<unknown> = Promise.resolve();

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  status(): Promise<StoreStatus> {
    return statusOf(this.#parts);
  }

  async backup(to: string, options: BackupOptions): Promise<BackedUp> {
    const { directory, journal } = this.#parts;
    if (directory === undefined) throw new StoreError('store_in_memory', 'The store has no files to be copied.');
    if (liesIn(directory, to))
      throw new StoreError(
        'store_unsafe',
        `${to} lies in the store that is to be copied, which nothing else may write to. Name another place.`,
      );
    const manifest = await this.#alone('A backup', options, journal.space.usedBytes, (signal) =>
      backupRunning(directory, journal, to, { ...options, signal }),
    );
    return summaryOf(to, manifest);
  }

  compact(options: UpkeepOptions): Promise<Compacted> {
    return this.#alone('A compact', options, undefined, (signal) => compact(this.#parts, signal));
  }

  /** Call while the disk is full, and no commit is under way. */
  relieve(): Promise<void> {
    const relieving = this.#running === undefined ? relieve(this.#parts) : Promise.resolve();
    this.#relieving = relieving.catch(() => {}); // who called it is told
    return relieving;
  }

  /** Ends a backup that keeps too much. Call often. */
  look(): void {
    const { journal, boundBytes } = this.#parts;
    if (this.#running?.usedBytes === undefined) return;
    const { usedBytes, full } = journal.space;
    const held = usedBytes - this.#running.usedBytes;
    if (full) this.#end('store_full', 'The disk under the store is full, so the journal keeps nothing for a backup.');
    else if (held > holdMost * boundBytes())
      this.#end(
        'backup_outgrown',
        `The journal grew by ${held} bytes while it kept everything for the backup, more than ${holdMost} times what it may have.`,
      );
  }

  async close(): Promise<void> {
    this.#running?.stop.abort(new StoreError('upkeep_ended', `${this.#running.what} was ended: the store is closed.`));
    await this.#running?.ended;
    await this.#relieving;
  }

  #end(code: StoreError['code'], why: string): void {
    this.#running!.stop.abort(new StoreError(code, `${why} Try again when less is written, or to a faster disk.`));
  }

  async #alone<T>(
    what: string,
    { signal }: UpkeepOptions,
    usedBytes: number | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#running !== undefined)
      throw new StoreError('store_busy', `${this.#running.what} of the store is under way.`);
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal!.reason);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted === true) abort();
    const working = work(stop.signal);
    this.#running = { what, stop, usedBytes, ended: working.catch(() => {}) };
    try {
      return await working;
    } catch (error) {
      throw error === stop.signal.reason ? error : explainPart(error as Error, this.#parts.directory);
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#running = undefined;
    }
  }
}
