/** A bug that is planted: something between the broker and its core, its store or its limits. */
import type { step } from '../../src/core/step.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import type { Store } from '../../src/store/port.ts';

export interface Plant {
  /** Stands in for the core's step; made anew for every process. */
  readonly step?: () => typeof step;
  /** Stands in front of the store. */
  readonly store?: (store: Store) => Store;
  /** The limits that the broker runs with, where the checks keep to the true ones. */
  readonly limits?: Partial<Limits>;
}

/** The store with some of what it does replaced. */
export const over = (store: Store, changes: Partial<Store>): Store => ({
  load: (options) => store.load(options),
  commit: (records) => store.commit(records),
  get room() {
    return store.room;
  },
  makeRoom: (bytes) => store.makeRoom(bytes),
  payload: (id) => store.payload(id),
  show: (id) => store.show(id),
  states: (ids) => store.states(ids),
  list: (filter) => store.list(filter),
  expired: (expiry) => store.expired(expiry),
  shrink: () => store.shrink(),
  check: () => store.check(),
  status: () => store.status(),
  backup: (directory, options) => store.backup(directory, options),
  compact: (options) => store.compact(options),
  close: () => store.close(),
  ...changes,
});
