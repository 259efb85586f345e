/** How long what has ended stays in memory on its way into the book. */
import { expect, test } from 'vitest';
import type { Book } from '../../src/book/port.ts';
import type { RecordOf } from '../../src/core/record.ts';
import { BookFeed } from '../../src/store/book-feed.ts';
import { storeSizes } from '../../src/store/sizes.ts';
import { endedTask, positionAt } from '../conformance/book.ts';
import { moved } from '../conformance/records.ts';
import { until } from '../until.ts';

const attemptOf = (attempt: number): RecordOf<'attempt'> => ({
  ...{ kind: 'attempt', seq: 1, attempt, collectorId: 'c1', startedAtMs: 1, endedAtMs: 2 },
  ...{ outcome: 'failed', error: undefined },
});

test('the attempts of a task do until the latest of them is in the book', async () => {
  const applying: (() => void)[] = [];
  const book: Pick<Book, 'apply'> = {
    apply: () => new Promise((resolve) => applying.push(() => resolve(0))),
  };
  const feed = new BookFeed({
    ...{ book: book as Book, sizes: { ...storeSizes, gatherMs: 0 }, position: 0 },
    read: async () => undefined,
    failed: (error) => expect.unreachable(error.message),
  });
  for (const sequence of [1, 2]) {
    feed.attempt(attemptOf(sequence));
    feed.cut(100)({ storeId: '00', epoch: 1, sequence, crc: sequence });
  }
  for (const sequence of [1, 2]) {
    await until(() => applying.length > 0, 'it is being entered');
    expect(feed.attemptsOf(1)).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
    applying.shift()!();
    await until(() => feed.applied === sequence, 'it is in the book');
  }
  expect(feed.attemptsOf(1)).toBeUndefined();
});

test('who waits for room waits until there is some, not until all is in the book', async () => {
  const applying: (() => void)[] = [];
  const book: Pick<Book, 'apply'> = {
    apply: () => new Promise((resolve) => applying.push(() => resolve(0))),
  };
  const sizes = { ...storeSizes, gatherMs: 0, applyBytes: 1, backlogBytes: 200 };
  const feed = new BookFeed({
    ...{ book: book as Book, sizes, position: 0 },
    read: async () => undefined,
    failed: (error) => expect.unreachable(error.message),
  });
  for (let sequence = 1; sequence <= 20; sequence++) {
    feed.attempt(attemptOf(sequence));
    feed.cut(100)({ storeId: '00', epoch: 1, sequence, crc: sequence });
  }
  let hasRoom = false;
  const room = feed.room().then(() => (hasRoom = true));
  let applied = 0;
  for (; !hasRoom; applied++) {
    await until(() => applying.length > 0 || hasRoom, 'it goes on');
    applying.shift()?.();
    await until(() => feed.applied > applied || hasRoom, 'one more is in the book');
  }
  await room;
  expect(applied).toBeGreaterThan(3);
  expect(applied).toBeLessThan(20);
});

test('what is in the book and safe holds nothing of the journal', async () => {
  let applied = 0;
  const book: Pick<Book, 'apply' | 'checkpoint'> = {
    apply: async (_, { sequence }) => {
      applied = sequence;
      return 0;
    },
    checkpoint: async () => positionAt(applied),
  };
  const feed = new BookFeed({
    ...{ book: book as Book, sizes: { ...storeSizes, gatherMs: 0 }, position: 0 },
    read: async () => undefined,
    failed: (error) => expect.unreachable(error.message),
  });
  for (const end of [2, 3]) {
    feed.end(endedTask(end, `t${end}`), moved(end, 'completed') as RecordOf<'moved'>, end, 1, undefined);
    feed.cut(100)(positionAt(end));
    expect(feed.needed).toBe(1); // the full record of the task
    await feed.flush();
    expect(feed.needed).toBe(end + 1);
  }
});
