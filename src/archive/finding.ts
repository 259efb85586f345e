/** What a look at a store finds: where, what, and what is to be done. */
import { storeWord } from '../store/journal-error.ts';

export interface Finding {
  /** `note`: nothing that was acknowledged is touched by it. */
  readonly severity: 'damage' | 'note';
  readonly code: string;
  readonly message: string;
  readonly advice: string;
  readonly segment?: number;
  /** Of the segment. */
  readonly byte?: number;
  /** Of the batch. */
  readonly sequence?: number;
  /** The `seq` of a task. */
  readonly task?: number;
}

export const adviseSalvage = (store: string): string =>
  `Keep the directory as it is, and write what is whole into another one with: deye store salvage ${storeWord(store)} NEW_DIR. Or restore a backup.`;
/** A broker that runs has what lives in memory. */
export const adviseCompact = (store: string): string =>
  `While the broker runs, what lives is written again, and the damage goes with the rest, by: deye store compact --state-dir ${storeWord(store)}. After it has stopped: deye store salvage ${storeWord(store)} NEW_DIR, or restore a backup.`;
export const adviseNothing = 'Nothing needs to be done.';
