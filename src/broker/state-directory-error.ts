/** What the system refuses in the state directory, outside the store: a disk that is full or read-only, files of another. */
import { explainPart } from '../store/journal-error.ts';

/** Does `work` there; what the system refuses is thrown as a StoreError. */
export function inStateDirectory<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : explainPart(error as Error);
  }
}
