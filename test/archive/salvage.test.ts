/** Salvage has back all that is whole, names what is not, and leaves the damaged store as it is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Salvaged, salvageStore } from '../../src/archive/salvage.ts';
import { verifyStore } from '../../src/archive/verify.ts';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { blockBytes } from '../../src/journal/header.ts';
import { surveyJournal } from '../../src/journal/survey.ts';
import { isEnded } from '../../src/protocol/state.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { journalIn } from '../../src/store/layout.ts';
import type { StoredDetail } from '../../src/store/port.ts';
import { loadAt, moved, submitted } from '../conformance/records.ts';
import { brokerOn } from '../store/broker.ts';
import {
  contentOf,
  damage,
  expiredBeforeMs,
  filesOf,
  filled,
  idOf,
  purgedSeq,
  Scratch,
  segmentBytes,
  taskCount,
  trimmedSeq,
} from '../store/fixture.ts';
import { grownStore, type Moment, RealStore, withFile } from '../store/real-store.ts';

const scratch = new Scratch();
let sound: string;
let content: StoredDetail[];
let open: string;
beforeAll(async () => {
  sound = scratch.path('sound');
  mkdirSync(sound);
  const store = await filled(sound);
  open = scratch.copy(sound); // as a kill leaves it: with a write-ahead file
  await store.close();
  [content] = await contentOf(scratch.copy(sound));
});
afterAll(() => scratch[Symbol.dispose]());

const segment = (directory: string, number: number): string =>
  join(directory, 'journal', `${String(number).padStart(12, '0')}.journal`);

/** Salvages, sees that the old directory is as it was and that the new one is whole, if there is one. */
async function salvaged(directory: string, acceptGap = false): Promise<Salvaged & { readonly to: string }> {
  const to = scratch.path();
  const before = filesOf(directory);
  const result = await salvageStore(directory, to, { acceptGap });
  expect(filesOf(directory)).toEqual(before);
  expect(existsSync(to)).toBe(result.is_written);
  expect(readdirSync(scratch.root).filter((name) => name.includes('unfinished'))).toEqual([]);
  if (result.is_written) expect((await verifyStore(to, { isMoving: false })).findings).toEqual([]);
  return { ...result, to };
}

const idsOf = (tasks: readonly StoredDetail[]): string[] => tasks.map(({ spec }) => spec.id);

/** The batches of records in a segment, and a way to spoil one of them. */
async function batchesOf(directory: string, number: number) {
  await using survey = await surveyJournal(fileDisk(journalIn(directory), { readOnly: true }));
  return survey!.segments.find((one) => one.number === number)!.batches.filter(({ kind }) => kind === 'records');
}
const spoil = (directory: string, number: number, block: number): void =>
  damage(segment(directory, number), block * blockBytes + 40, Uint8Array.of(0xaa, 0xbb));

test.each(['sound', 'open'])(
  'of a %s store everything is had back, in a new store of a higher epoch',
  async (which) => {
    const directory = scratch.copy(which === 'open' ? open : sound);
    const result = await salvaged(directory);
    expect(result).toMatchObject({
      is_written: true,
      live_tasks: 20,
      ended_tasks: 20,
      settings: 1,
      epoch: 2,
      may_run_again: [],
    });
    expect(result.lost).toEqual({ is_nothing: true, batches: [], records: [], tasks: [], journal: [], book: [] });
    const [tasks, settings, nextSeq, mark] = await contentOf(result.to);
    expect(tasks).toEqual(content);
    expect([settings, nextSeq]).toEqual([new Map([['strategy', 'round_robin']]), taskCount + 1]);
    expect(mark).toBe(expiredBeforeMs);
    expect(tasks[trimmedSeq - 1]).toMatchObject({ seq: trimmedSeq, spec: { payload: { length: 0 } } });
    const { store_id } = await verifyStore(result.to, { isMoving: false });
    expect(store_id).not.toBe(result.of_store);
  },
);

test('a torn tail is no gap', async () => {
  const directory = scratch.copy(sound);
  let head = 1;
  while ((await batchesOf(directory, head + 1)).length > 0) head++;
  const { block, blocks } = (await batchesOf(directory, head)).at(-1)!;
  damage(segment(directory, head), (block + blocks + 1) * blockBytes, Buffer.alloc(100, 9));
  const result = await salvaged(directory);
  expect(result.lost.is_nothing).toBe(true);
  expect(idsOf((await contentOf(result.to))[0])).toEqual(idsOf(content));
});

test('a batch that is spoilt: named, refused, and with leave all the rest is had back', async () => {
  const directory = scratch.copy(sound);
  // A submission that no later batch repeats.
  const found = await batchesOf(directory, 3);
  const [spoilt] = found;
  spoil(directory, 3, spoilt!.block);
  const refused = await salvaged(directory);
  expect(refused.is_written).toBe(false);
  expect(refused.lost.batches).toEqual([{ first: spoilt!.sequence, last: spoilt!.sequence }]);
  const result = await salvaged(directory, true);
  expect(result.lost).toEqual(refused.lost);
  const [tasks] = await contentOf(result.to);
  const missing = content.filter(({ spec }) => !idsOf(tasks).includes(spec.id));
  expect(missing.length).toBeLessThanOrEqual(1);
  expect(result.lost.tasks.map(({ seq }) => seq)).toEqual(missing.map(({ seq }) => seq));
  await using broker = await brokerOn(result.to);
  expect(broker.socket).toBeDefined();
});

test('whatever batch is missing: each task is had back or named, and none is invented', async () => {
  let named = 0;
  for (let number = 1; number <= 5; number++)
    for (const { block, sequence } of (await batchesOf(sound, number)).filter((_, at) => at % 2 === number % 2)) {
      const directory = scratch.copy(sound);
      spoil(directory, number, block);
      const result = await salvaged(directory, true);
      expect(result.lost.batches).toEqual([{ first: sequence, last: sequence }]);
      const [all] = await contentOf(result.to);
      // What was deleted may be there when the deletion is what is missing.
      const tasks = all.filter(({ seq }) => seq !== purgedSeq);
      const lost = result.lost.tasks.map(({ seq }) => seq);
      named += lost.length;
      expect(
        [...tasks.map(({ seq }) => seq), ...lost].sort((a, b) => a - b),
        `batch ${sequence}`,
      ).toEqual(content.map(({ seq }) => seq));
      for (const task of tasks) {
        const was = content.find(({ seq }) => seq === task.seq)!;
        // The book has every end, also where the batch of it is missing.
        if (isEnded(was.state)) expect(task).toMatchObject({ state: was.state, attempts: was.attempts });
        // A change that is missing leaves the task in the state before it.
        if (!result.may_run_again.includes(task.spec.id) && task.seq !== trimmedSeq)
          expect(task).toMatchObject({ state: was.state, spec: was.spec });
      }
    }
  expect(named).toBeGreaterThan(2);
});

test('a task that was submitted in what is missing, and deleted later, is not lost', async () => {
  const directory = scratch.path();
  const store = journalStoreIn(directory, { segmentBytes });
  await store.load(loadAt(1));
  await store.commit([submitted(1, idOf(1)), moved(1, 'completed')]);
  await store.commit([submitted(2, idOf(2))]);
  await store.commit([{ kind: 'purged', seqs: [1] }]);
  await store.close();
  const missing = (await batchesOf(directory, 1))[0]!;
  spoil(directory, 1, missing.block);
  const { lost } = await salvaged(directory, true);
  expect(lost.batches).toEqual([{ first: missing.sequence, last: missing.sequence }]);
  expect(lost.tasks).toEqual([]);
});

test('what the journal writes for itself may be damaged without a loss', async () => {
  const directory = scratch.copy(sound);
  await using survey = await surveyJournal(fileDisk(journalIn(directory), { readOnly: true }));
  const close = survey!.segments.find(({ number }) => number === 2)!.batches.at(-1)!;
  expect(close.kind).toBe('close');
  spoil(directory, 2, close.block);
  const result = await salvaged(directory);
  expect(result.lost.is_nothing).toBe(true);
  expect((await contentOf(result.to))[0]).toEqual(content);
});

test('a segment that is gone', async () => {
  const directory = scratch.copy(sound);
  const gone = await batchesOf(directory, 2);
  rmSync(segment(directory, 2));
  const result = await salvaged(directory, true);
  expect(result.lost.batches).toEqual([{ first: gone[0]!.sequence, last: gone.at(-1)!.sequence }]);
  const [tasks] = await contentOf(result.to);
  const back = new Set(tasks.map(({ seq }) => seq));
  const named = new Set(result.lost.tasks.map(({ seq }) => seq));
  for (const { seq } of content) expect(back.has(seq) !== named.has(seq), `task ${seq}`).toBe(true);
});

test('the end of the journal is gone: the book knows how far it went', async () => {
  const directory = scratch.copy(sound);
  const numbers = (await verifyStore(directory, { isMoving: false })).segments;
  for (let number = 4; number <= numbers; number++) rmSync(segment(directory, number));
  const result = await salvaged(directory, true);
  const last = (await batchesOf(directory, 3)).at(-1)!.sequence;
  expect(result.lost.batches[0]!.first).toBe(last + 1);
  const [tasks] = await contentOf(result.to);
  // What ended later has its row, and is not run again.
  for (const { spec, state } of content.filter(({ state }) => state === 'completed'))
    expect(tasks.find((task) => task.spec.id === spec.id)).toMatchObject({ state });
  expect(result.live_tasks + result.ended_tasks).toBe(tasks.length);
  expect(idsOf(tasks)).toEqual(expect.arrayContaining(idsOf(content.filter(({ state }) => state === 'completed'))));
  expect(result.may_run_again).toEqual(idsOf(tasks.filter(({ state }) => state === 'pending' || state === 'retrying')));
});

test.each([
  ['with its directory', /^/],
  ['its files', /./],
  ['its segments', /\.journal$/],
])('the whole journal is gone, %s: the book has what has ended', async (what, names) => {
  const directory = scratch.copy(sound);
  const journal = journalIn(directory);
  for (const name of readdirSync(journal)) if (names.test(name)) rmSync(join(journal, name));
  if (what === 'with its directory') rmSync(journal, { recursive: true });
  expect(await salvaged(directory)).toMatchObject({ is_written: false });
  const result = await salvaged(directory, true);
  expect(result.lost).toMatchObject({
    batches: [],
    journal: [expect.stringMatching(/^Nothing of it is there\. .* batch \d+ /)],
  });
  const [tasks] = await contentOf(result.to);
  expect(tasks).toEqual(content.filter(({ state }) => isEnded(state)));
  expect(result).toMatchObject({ live_tasks: 0, ended_tasks: tasks.length });
});

test('the last segment is gone, and the book with it: the one before says that there was more', async () => {
  const directory = scratch.copy(sound);
  await using survey = await surveyJournal(fileDisk(journalIn(directory), { readOnly: true }));
  const used = survey!.segments.filter(({ batches }) => batches.length > 0);
  const last = used.at(-2)!.batches.at(-1)!.sequence;
  for (const name of ['book.db', 'book.db-wal', 'book.db-shm']) rmSync(join(directory, name), { force: true });
  rmSync(segment(directory, used.at(-1)!.number));
  expect(await salvaged(directory)).toMatchObject({ is_written: false });
  const result = await salvaged(directory, true);
  expect(result.lost.batches).toEqual([{ first: last + 1, last: last + 1 }]);
  expect(result.may_run_again).toHaveLength(result.live_tasks);
  // Another's file in its place says no more than none.
  writeFileSync(segment(directory, used.at(-1)!.number), readFileSync(segment(directory, 1)));
  expect((await salvaged(directory, true)).lost.batches).toEqual(result.lost.batches);
});

test('rows that are damaged are had back from the journal', async () => {
  const directory = scratch.copy(sound);
  const db = new DatabaseSync(join(directory, 'book.db'));
  db.exec(
    "UPDATE task SET state = 'cancelled' WHERE seq = 1; UPDATE body SET bytes = x'c0' WHERE seq = 2; UPDATE attempt SET crc = 1 WHERE seq = 5",
  );
  db.close();
  const result = await salvaged(directory);
  expect(result.lost.is_nothing).toBe(true);
  expect((await contentOf(result.to))[0]).toEqual(content);
});

test('a book that is no book costs nothing as long as the journal has all', async () => {
  const directory = scratch.copy(sound);
  writeFileSync(join(directory, 'book.db'), 'this is no book'.repeat(500));
  const result = await salvaged(directory);
  expect((await contentOf(result.to))[0]).toEqual(content);
  expect(result.lost.is_nothing).toBe(true);
});

describe('a book whose journal is released', () => {
  let released: string;
  let all: StoredDetail[];
  beforeAll(async () => {
    released = scratch.copy(sound);
    const store = journalStoreIn(released, { segmentBytes });
    await store.load(loadAt(1));
    await store.compact();
    await store.close();
    [all] = await contentOf(scratch.copy(released));
    expect(all.filter(({ state }) => isEnded(state)).length).toBeGreaterThan(10);
  });

  // The text and the page size in SQLite's header, its counts, its versions, the tables, where they begin.
  test.each([3, 16, 18, 24, 28, 31, 44, 52, 60, 63, 64, 68, 100, 103, 108, 1000, 2000, 3000, 4000])(
    'byte %i of its first page is damaged: every row is had back',
    async (byte) => {
      const directory = scratch.copy(released);
      const path = join(directory, 'book.db');
      damage(path, byte, new Uint8Array([readFileSync(path)[byte]! ^ 0x5a]));
      const { lost, to } = await salvaged(directory, true);
      expect((await contentOf(to))[0]).toEqual(all);
      expect([lost.tasks, lost.batches, lost.records]).toEqual([[], [], []]);
      expect(lost.book.filter((text) => !/^Its first page is damaged/.test(text))).toEqual([]);
    },
  );

  test('all of its first page is zeros: the same, and that is told', async () => {
    const directory = scratch.copy(released);
    damage(join(directory, 'book.db'), 0, new Uint8Array(4096));
    expect(await salvaged(directory)).toMatchObject({
      is_written: false,
      lost: { book: [expect.stringMatching(/^Its first page is damaged\. .* rows may be missing/)] },
    });
    expect((await contentOf((await salvaged(directory, true)).to))[0]).toEqual(all);
  });

  test('beside a write-ahead file: that is left out, and both are told', async () => {
    const directory = scratch.copy(released);
    const path = join(directory, 'book.db');
    const db = new DatabaseSync(path);
    db.exec('PRAGMA wal_autocheckpoint = 0; UPDATE position SET epoch = epoch');
    const log = readFileSync(`${path}-wal`);
    db.close();
    damage(path, 0, new Uint8Array(4096));
    writeFileSync(`${path}-wal`, log.subarray(0, 40)); // no frame is whole
    const { lost, to } = await salvaged(directory, true);
    expect(lost.book).toEqual([
      expect.stringMatching(/^Its first page is damaged/),
      expect.stringMatching(/^Its write-ahead file is damaged.* is left out/),
    ]);
    expect((await contentOf(to))[0]).toEqual(all);
  });

  test('where it stands is damaged: every row is had back, and that is told by the name of the book', async () => {
    const directory = scratch.copy(released);
    const db = new DatabaseSync(join(directory, 'book.db'));
    db.exec('UPDATE position SET epoch = 99');
    db.close();
    const { lost, to } = await salvaged(directory, true);
    expect(lost.book).toEqual([expect.stringContaining(`The book ${join(directory, 'book.db')} is damaged`)]);
    expect((await contentOf(to))[0]).toEqual(all);
  });
});

test('a book of another store is left out, and that is told', async () => {
  const other = scratch.path();
  mkdirSync(other);
  await (await filled(other)).close();
  const directory = scratch.copy(sound);
  writeFileSync(join(directory, 'book.db'), readFileSync(join(other, 'book.db')));
  expect((await salvaged(directory)).lost.book).toEqual([expect.stringContaining('of another store')]);
  expect((await contentOf((await salvaged(directory, true)).to))[0]).toEqual(content);
});

test('rows that only the book has, and whose journal is released, are named when they are damaged', async () => {
  const directory = scratch.copy(sound);
  const db = new DatabaseSync(join(directory, 'book.db'));
  db.exec(
    `INSERT INTO task SELECT seq + 1000, namespace, 'lost-' || id, operation, collector, state, since_ms, record, crc FROM task WHERE seq = 1`,
  );
  db.close();
  const result = await salvaged(directory);
  expect(result.lost.tasks).toEqual([
    { seq: 1001, id: `lost-${idOf(1)}`, state: undefined, what: `task lost-${idOf(1)}` },
  ]);
  expect((await contentOf((await salvaged(directory, true)).to))[0]).toEqual(content);
});

test('a write-ahead file of another time is left out, and that is told; the rows of the main file are had back', async () => {
  const { moments } = await grownStore(3, 80);
  const logOf = ({ image }: Moment): Buffer => image.get('book.db-wal') ?? Buffer.alloc(0);
  const of = (one: Moment): Buffer => one.image.get('book.db')!;
  const late = moments.findLast((one) => logOf(one).length > 0)!;
  const early = moments.find((one) => logOf(one).length > 0 && of(one).length > 4096 && !of(one).equals(of(late)))!;
  const real = new RealStore(withFile(late.image, 'book.db-wal', early.image.get('book.db-wal')));
  const directory = scratch.copy(real.directory);
  await real.remove();
  const { is_written, lost } = await salvaged(directory);
  expect([is_written, lost.book]).toEqual([
    false,
    [expect.stringContaining('Its write-ahead file is damaged, or of another time, and is left out')],
  ]);
  expect([lost.tasks, lost.batches, lost.records]).toEqual([[], [], []]);
  const { to } = await salvaged(directory, true);
  const ids = idsOf((await contentOf(to))[0]);
  expect(ids.toSorted()).toEqual([...late.expected.tasks.values()].map(({ spec }) => spec.id).toSorted());
});
