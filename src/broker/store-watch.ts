/** Checks once a second that the store is still where the next start looks for it, and whether it has room again. */
import type { Logger } from 'pino';
import type { Store } from '../store/port.ts';

const everyMs = 1000;

interface StoreWatchOptions {
  readonly store: Pick<Store, 'check' | 'room'>;
  readonly log: Logger;
  readonly after: (ms: number, run: () => void) => void;
  readonly failed: (error: Error) => void;
  readonly checked: () => void;
}

export function startStoreWatch({ store, log, after, failed, checked }: StoreWatchOptions): void {
  let wasFull = false;
  const look = (): void =>
    void store.check().then(() => {
      tell();
      checked();
      after(everyMs, look);
    }, failed);
  const tell = (): void => {
    const { full } = store.room;
    if (full && !wasFull)
      log.warn(
        { component: 'store' },
        'the disk under the store is full, or its files are limited: nothing new is accepted, and what runs may end. Free some space',
      );
    else if (!full && wasFull) log.info({ component: 'store' }, 'the store has room again');
    wasFull = full;
  };
  after(everyMs, look);
}
