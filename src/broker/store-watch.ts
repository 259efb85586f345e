/** Checks once a second that the store is still where the next start looks for it, and whether it has room again. */
import type { Store } from '../store/port.ts';

const everyMs = 1000;

interface StoreWatchOptions {
  readonly store: Pick<Store, 'check'>;
  readonly after: (ms: number, run: () => void) => void;
  readonly failed: (error: Error) => void;
  readonly checked: () => void;
}

export function startStoreWatch({ store, after, failed, checked }: StoreWatchOptions): void {
  const look = (): void =>
    void store.check().then(() => {
      checked();
      after(everyMs, look);
    }, failed);
  after(everyMs, look);
}
