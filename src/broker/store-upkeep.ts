/** What operators ask of the store: how it is, a copy of it, a smaller one. Work that goes on ends when its caller cancels or goes. */
import type { Logger } from 'pino';
import type { Input, Outcome, ReplyTo } from '../core/input.ts';
import { type Fault, type FaultCode, fault } from '../protocol/fault.ts';
import { type Store, StoreError } from '../store/port.ts';
import type { Now } from '../time/now.ts';
import type { Sessions } from './sessions.ts';

interface StoreUpkeepOptions {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly version: string;
  readonly log: Logger;
  readonly now: () => Now;
  readonly enqueue: (input: Input) => void;
}

/** Faults that say more than that it failed. */
const refusals: Readonly<Partial<Record<StoreError['code'], FaultCode>>> = {
  store_busy: 'store_busy',
  store_in_memory: 'unsupported_operation',
  target_exists: 'target_exists',
};

export class StoreUpkeep {
  readonly #options: StoreUpkeepOptions;

  constructor(options: StoreUpkeepOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#options.store.room.full;
  }

  status(to: ReplyTo): void {
    const { store } = this.#options;
    this.#answer(to, store.status(), (error) =>
      fault('store_failed', `The store could not be looked at: ${error.message}`),
    );
  }

  backup(to: ReplyTo, directory: string): void {
    const { store, version, now, log } = this.#options;
    const { wallMs } = now();
    log.info({ component: 'store', directory }, 'a backup begins');
    const made = this.#cancellable(to, (signal) => store.backup(directory, { version, wallMs, signal }));
    const failed = (error: Error): Fault => {
      const cause = error instanceof StoreError ? error.code : 'store_failed';
      if (cause === 'store_corrupt')
        return fault(
          'store_failed',
          `No backup was made. ${error.message} What lives the broker has in memory: deye store compact writes it again, and damage of the journal goes; that of the book stays.`,
        );
      const advice = cause === 'store_failed' ? ' Try again; if it stays so, see: deye broker logs' : '';
      return fault('backup_failed', `No backup was made. ${error.message}${advice}`, { cause });
    };
    this.#answer(to, this.#logged('a backup', made), failed);
  }

  compact(to: ReplyTo): void {
    const { store } = this.#options;
    const compacted = this.#cancellable(to, (signal) => store.compact({ signal }));
    this.#answer(to, this.#logged('a compact', compacted), (error) =>
      error instanceof StoreError && error.code === 'store_full'
        ? fault('store_full', error.message)
        : fault('store_failed', `The store could not be compacted: ${error.message}`),
    );
  }

  #cancellable<T>(to: ReplyTo, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const backlog = this.#options.sessions.get(to.session)?.backlog;
    backlog?.onCancel(to.id, () => stop.abort(new CancelledError('The caller cancelled it.')));
    return work(stop.signal).finally(() => backlog?.onCancel(to.id, undefined));
  }

  async #logged<T extends object>(what: string, work: Promise<T>): Promise<T> {
    const { log } = this.#options;
    try {
      const done = await work;
      log.info({ component: 'store', done }, `${what} is done`);
      return done;
    } catch (error) {
      log.warn({ component: 'store', reason: (error as Error).message }, `${what} ended before it was done`);
      throw error;
    }
  }

  #answer(to: ReplyTo, work: Promise<unknown>, failed: (error: Error) => Fault): void {
    const answer = (outcome: Outcome): void => this.#options.enqueue({ kind: 'read', to, read: () => outcome });
    work.then(
      (result) => answer({ result }),
      (error: Error) => answer(refusalOf(error) ?? failed(error)),
    );
  }
}

class CancelledError extends Error {
  override readonly name = 'CancelledError';
}

function refusalOf(error: Error): Fault | undefined {
  if (error instanceof CancelledError) return fault('cancelled', error.message);
  const code = error instanceof StoreError ? refusals[error.code] : undefined;
  return code === undefined ? undefined : fault(code, error.message);
}
