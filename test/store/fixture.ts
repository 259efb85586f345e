/** Stores for tests of what works on their files: several small segments, tasks in every state, bodies, attempts, a setting. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { SqliteBook } from '../../src/book/sqlite-book.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { StoreRecord } from '../../src/core/record.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { blockBytes } from '../../src/journal/header.ts';
import type { Journal, Position } from '../../src/journal/port.ts';
import { encodeValue } from '../../src/protocol/msgpack.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { openJournalIn } from '../../src/store/journal-files.ts';
import { bookIn, journalIn } from '../../src/store/layout.ts';
import type { Store, StoredDetail } from '../../src/store/port.ts';
import { loadAt, moved, submitted } from '../conformance/records.ts';

export const segmentBytes = 16 * blockBytes;
export const taskCount = 40;
export const trimmedSeq = 5;
export const expiredBeforeMs = 77;
export const purgedSeq = 0;
export const idOf = (seq: number): string => `0197a8e2-5c1e-7d43-9b1f-${String(seq).padStart(12, '0')}`;

export class Scratch implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'deye-offline-'));
  #count = 0;

  path(name = `d${++this.#count}`): string {
    return join(this.root, name);
  }

  /** A copy of a directory, to be damaged. */
  copy(of: string): string {
    const to = this.path();
    cpSync(of, to, { recursive: true });
    return to;
  }

  /** A store that is filled and closed. */
  async sound(): Promise<string> {
    const directory = this.path('sound');
    mkdirSync(directory, { mode: 0o700 });
    await (await filled(directory)).close();
    return directory;
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const attempt = (seq: number, outcome: 'completed' | 'failed'): StoreRecord => ({
  ...{ kind: 'attempt', seq, attempt: 1, collectorId: 'c1', startedAtMs: 3000, endedAtMs: 4000, outcome },
  error: outcome === 'failed' ? { code: 'broken', message: 'it "broke"\n' } : undefined,
});

/**
 * Every fourth task has completed, every fourth is a dead letter, every fourth waits for a retry; the others are new. One
 * more is deleted, and another one's bodies.
 */
function* batches(): Generator<StoreRecord[]> {
  yield [{ kind: 'setting', namespace: 'default', key: 'strategy', value: 'round_robin' }];
  yield [submitted(purgedSeq, idOf(purgedSeq)), moved(purgedSeq, 'completed', { result: encodeValue('gone') })];
  for (let seq = 1; seq <= taskCount; seq++) {
    yield [submitted(seq, idOf(seq), { payload: encodeValue({ seq, text: 'x'.repeat(5000) }) })];
    if (seq % 4 === 1)
      yield [
        attempt(seq, 'completed'),
        moved(seq, 'completed', { collectorId: 'c1', result: encodeValue([seq, 2n ** 60n]) }),
      ];
    if (seq % 4 === 2)
      yield [
        attempt(seq, 'failed'),
        moved(seq, 'dead_letter', { collectorId: 'c1', error: { code: 'broken', message: 'no' } }),
      ];
    if (seq % 4 === 3)
      yield [
        attempt(seq, 'failed'),
        moved(seq, 'retrying', { collectorId: 'c1', readyAtMs: 9000, delayMs: 5000, excluded: ['c1'] }),
      ];
    if (seq === 20) {
      yield [
        { kind: 'expired', beforeMs: expiredBeforeMs },
        { kind: 'purged', seqs: [purgedSeq] },
      ];
      yield [{ kind: 'trimmed', seqs: [trimmedSeq] }];
    }
  }
}

/** Fills a store and leaves it open. */
export async function filled(directory: string): Promise<Store> {
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load(loadAt(1));
  for (const batch of batches()) await store.commit(batch);
  return store;
}

/** A journal, without a book, whose first segments are released: eighty batches with one setting each. */
export async function releasedInPart(directory: string): Promise<void> {
  mkdirSync(journalIn(directory), { recursive: true, mode: 0o700 });
  const failed = (error: Error): never => {
    throw error;
  };
  const journal = await openJournalIn(journalIn(directory), { segmentBytes, failed, witnesses: async () => ({}) });
  const body = settingBytes();
  for (let sequence = 1; sequence <= 80; sequence++)
    expect(await journal.append([body], 1, sequence)).toBe('committed');
  expect(journal.first).toBeGreaterThan(20);
  await journal.close();
}

/** A journal alone, of `count` batches of a setting each; answers where it stood after each of them. */
export async function written(
  directory: string,
  count: number,
  body = settingBytes(),
  records = 1,
): Promise<Position[]> {
  mkdirSync(journalIn(directory), { recursive: true, mode: 0o700 });
  const failed = (error: Error): never => {
    throw error;
  };
  const journal = await openJournalIn(journalIn(directory), { segmentBytes, failed, witnesses: async () => ({}) });
  journal.hold('test', 1);
  const positions: Position[] = [];
  for (let sequence = 1; sequence <= count; sequence++) {
    expect(await journal.append([body], records, sequence)).toBe('committed');
    positions.push(journal.synced);
  }
  await journal.close();
  return positions;
}

function settingBytes(): Uint8Array {
  const writer = new Writer();
  writeRecord(writer, { kind: 'setting', namespace: 'default', key: 'strategy', value: 'x'.repeat(5000) });
  return writer.written;
}

interface Writing extends AsyncDisposable {
  readonly journal: Journal;
  /** The last batch that was answered. */
  readonly acknowledged: number;
  stop(): Promise<void>;
}

/** A journal that grows and is released, and a book behind it, as a broker has them, until it is stopped. */
export async function writing(directory: string): Promise<Writing> {
  mkdirSync(journalIn(directory), { recursive: true, mode: 0o700 });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  const journal = await openJournalIn(journalIn(directory), {
    segmentBytes,
    failed: reject,
    witnesses: async () => ({}),
  });
  const book = new SqliteBook(bookIn(directory));
  const body = settingBytes();
  let [acknowledged, stopped, isStopping] = [0, false, false];
  const run = async (): Promise<void> => {
    for (let sequence = 1; !isStopping; sequence++) {
      expect(await journal.append([body], 1, sequence)).toBe('committed');
      acknowledged = sequence;
      if (sequence % 7 !== 0) continue;
      const { storeId, epoch, synced } = journal;
      book.apply(new Uint8Array(0), { storeId, epoch, ...synced });
      const safe = book.checkpoint();
      if (safe !== undefined) journal.hold('store', safe.sequence + 1);
    }
  };
  journal.hold('store', 1);
  const running = Promise.race([run(), failed]);
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    isStopping = true;
    await running;
    await journal.close();
    book.close();
  };
  return {
    journal,
    get acknowledged() {
      return acknowledged;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** What a store answers about every task, its settings, the next `seq`, and the mark of expired ids. */
export async function contentOf(
  directory: string,
): Promise<readonly [StoredDetail[], ReadonlyMap<string, string>, number, number]> {
  const store = journalStoreIn(directory, { segmentBytes });
  try {
    const { settings, nextSeq, expiredBeforeMs: mark } = await store.load(loadAt(1));
    const all = await store.list({
      states: [],
      operation: undefined,
      collectorId: undefined,
      beforeSeq: undefined,
      limit: 10_000,
    });
    const tasks = await Promise.all(all.map(({ spec }) => store.show(spec.id)));
    return [tasks.map((task) => task!).sort((a, b) => a.seq - b.seq), settings, nextSeq, mark];
  } finally {
    await store.close();
  }
}

/** Every file below with its bytes, to see that nothing was changed. */
export function filesOf(directory: string): Map<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(directory, name)).isFile(),
  );
  return new Map(names.sort().map((name) => [name, readFileSync(join(directory, name), 'latin1')]));
}

/** Changes bytes of a file in place. */
export function damage(path: string, at: number, bytes: Uint8Array): void {
  const content = readFileSync(path);
  content.set(bytes, at);
  writeFileSync(path, content);
}
