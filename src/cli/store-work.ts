/** Work on the files of a store, without a broker or beside one: who holds them meanwhile, and the work itself. */
import { type Verified, verifyStore } from '../store/verify.ts';
import { progressBar } from './progress.ts';
import { findStateDirectory, lookAt } from './state-directory.ts';

/** Of the directory, or of that of the broker. */
export async function verify(given: string | undefined): Promise<Verified> {
  const directory = await findStateDirectory(given);
  using look = lookAt(directory);
  using bar = progressBar();
  return await verifyStore(directory, { isMoving: look.isMoving, progress: bar.progress });
}
