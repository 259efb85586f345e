/** The core's state at the start: as the store kept it, under the broker's limits. */
import type { Logger } from 'pino';
import { recover } from '../core/recover.ts';
import { type CoreState, newState } from '../core/state.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Loaded, LoadOptions, Store } from '../store/port.ts';
import type { Clock } from '../time/clock.ts';
import type { Now } from '../time/now.ts';

interface RecoveredStateOptions {
  readonly limits: Limits;
  readonly log: Logger;
  /** Until one is set by a request. */
  readonly strategy?: string;
  readonly seed?: number;
}

/** Who is told how the recovery goes. */
export type RecoveryReaders = Pick<LoadOptions, 'progress' | 'found'>;

/** What the store kept, as of now. Rejects with a StoreError. */
export const loadStored = (
  from: RecoveryReaders & { readonly store: Store; readonly clock: Clock; readonly limits: Limits },
  bodyDamaged: (id: string) => void,
): Promise<Loaded> =>
  from.store.load({
    wallMs: from.clock.now().wallMs,
    idsAheadMax: from.limits.idsAheadMax,
    payloadsBytesMax: from.limits.memoryPayloadBytesMax,
    bodyDamaged,
    ...(from.progress === undefined ? {} : { progress: from.progress }),
    ...(from.found === undefined ? {} : { found: from.found }),
  });

export function recoveredState(options: RecoveredStateOptions, loaded: Loaded, start: Now): CoreState {
  const { limits, log, seed = Math.floor(Math.random() * 2 ** 31), strategy } = options;
  const state = newState({ seed, limits, epoch: loaded.epoch, nonce: `-${seed.toString(36)}` });
  if (strategy !== undefined) state.strategy = strategy;
  recover(state, loaded, start);
  log.info({ component: 'store', tasks: state.tasks.size, epoch: loaded.epoch }, 'store recovered');
  return state;
}
