/** A program: histories of a kind, one seed after the other, until one fails. Prints the seed and why, or nothing. */
import { History } from '../journal/history.ts';
import { StoreHistory } from './history.ts';
import type { SearchKind } from './plants.ts';
import { copiesOfTwoWays, namesOnAFullDisk, staleBatch } from './scenes.ts';
import { earlierAttempt, lateBook, nothingLeft, unsavedBook } from './store-scenes.ts';

const kinds: Readonly<Record<SearchKind, (seed: number) => { run(): Promise<unknown> }>> = {
  store: (seed) => new StoreHistory(seed),
  'store with late syncs': (seed) => new StoreHistory(seed, { sync: 100 }),
  journal: (seed) => new History(seed),
  'journal with late syncs': (seed) => new History(seed, { sync: 100 }),
  'journal with flips': (seed) => new History(seed, { flips: true }),
  'copies of two ways': () => ({ run: copiesOfTwoWays }),
  'names on a full disk': () => ({ run: namesOnAFullDisk }),
  'book that is not saved': () => ({ run: unsavedBook }),
  'late book': () => ({ run: lateBook }),
  'earlier attempt': () => ({ run: earlierAttempt }),
  'nothing left': () => ({ run: nothingLeft }),
  'stale batch': () => ({ run: staleBatch }),
};

const [kind = 'store', seedsMax = '100'] = process.argv.slice(2);
for (let seed = 1; seed <= Number(seedsMax); seed++) {
  const error = await kinds[kind as SearchKind](seed)
    .run()
    .then(
      () => undefined,
      (thrown: Error) => thrown,
    );
  if (error === undefined) continue;
  console.log(`${error.name} at seed ${seed}: ${error.message.split('\n')[0]}`);
  break;
}
