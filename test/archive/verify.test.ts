/** Verify finds every damage that a disk or a person makes, names its place, and changes nothing. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Verified, verifyStore } from '../../src/archive/verify.ts';
import type { BookPosition } from '../../src/book/port.ts';
import { standingIn, standingRow } from '../../src/book/schema.ts';
import { Writer } from '../../src/core/bytes.ts';
import type { JournalRecord } from '../../src/core/record.ts';
import { writeRecord } from '../../src/core/record-bytes.ts';
import { fileDisk } from '../../src/journal/file-disk.ts';
import { blockBytes, headerBytes } from '../../src/journal/header.ts';
import { surveyJournal } from '../../src/journal/survey.ts';
import { backupAtRest } from '../../src/store/backup.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { loadAt, submitted } from '../conformance/records.ts';
import {
  damage,
  filesOf,
  filled,
  idOf,
  releasedInPart,
  Scratch,
  segmentBytes,
  taskCount,
  written,
} from '../store/fixture.ts';

const scratch = new Scratch();
let sound: string;
beforeAll(async () => {
  sound = await scratch.sound();
});
afterAll(() => scratch[Symbol.dispose]());

/** Verifies, and sees that nothing was changed. */
async function verified(directory: string): Promise<Verified> {
  const before = filesOf(directory);
  const found = await verifyStore(directory, { isMoving: false });
  expect(filesOf(directory)).toEqual(before);
  return found;
}
const damaged = async (directory: string): Promise<string> => {
  const found = await verified(directory);
  expect(found.is_whole).toBe(false);
  for (const { advice } of found.findings) expect(advice).not.toBe('');
  return found.findings.map(({ code, message }) => `${code}: ${message}`).join('\n');
};
const segment = (directory: string, number: number): string =>
  join(directory, 'journal', `${String(number).padStart(12, '0')}.journal`);

/** The whole batches of a segment. */
async function batchesOf(directory: string, number: number) {
  await using survey = await surveyJournal(fileDisk(join(directory, 'journal'), { readOnly: true }));
  return survey!.segments.find((one) => one.number === number)!.batches;
}

test('a whole store is whole, and all of it is counted', async () => {
  const told: string[] = [];
  const found = await verifyStore(sound, {
    isMoving: false,
    progress: (what, done, all) => told.push(`${what} ${done <= all}`),
  });
  expect(found).toMatchObject({
    is_whole: true,
    findings: [],
    live_tasks: taskCount / 2,
    ended_tasks: taskCount / 2,
    settings: 1,
  });
  expect(found.segments).toBeGreaterThan(4);
  expect(found.records).toBeGreaterThan(2 * taskCount);
  expect(found.book_sequence).toBe(found.sequence);
  expect(new Set(told)).toEqual(new Set(['reading the journal true', 'reading records true', 'reading the book true']));
  await verified(sound);
});

describe('a backup', () => {
  let backup: string;
  beforeAll(async () => {
    backup = scratch.path('backup');
    await backupAtRest(sound, backup, { version: '1.2.3', wallMs: 1 });
  });

  test('that is whole', async () => expect((await verified(backup)).is_whole).toBe(true));

  test.each<[string, (directory: string) => void, string]>([
    ['a word of its manifest', (one) => damage(join(one, 'manifest.json'), 20, Buffer.from('x')), 'is no whole backup'],
    [
      'a byte behind the last batch',
      (one) => {
        const last = readdirSync(join(one, 'journal')).filter((name) => name.endsWith('.journal'))[0]!;
        const path = join(one, 'journal', last);
        damage(path, readFileSync(path).length - 5, Uint8Array.of(1));
      },
      'is not as the manifest says',
    ],
    ['a file that is gone', (one) => rmSync(join(one, 'journal', 'journal.json')), 'journal.json is missing'],
  ])('%s: what a restore refuses is damage', async (_, change, said) => {
    const directory = scratch.copy(backup);
    change(directory);
    expect(await damaged(directory)).toMatch(new RegExp(`backup_damaged: .*${said}`));
  });
});

test('what is missing at the end, which the book has seen, is not called half written', async () => {
  const directory = scratch.copy(sound);
  const { sequence } = await verifyStore(sound, { isMoving: false });
  const last = Math.max(
    ...readdirSync(join(directory, 'journal')).flatMap((name) =>
      name.endsWith('.journal') ? [Number.parseInt(name, 10)] : [],
    ),
  );
  let cut = false;
  for (let number = last; !cut && number > 0; number--) {
    const batch = (await batchesOf(directory, number)).findLast((one) => one.kind === 'records');
    if (batch === undefined) continue;
    truncateSync(segment(directory, number), batch.block * blockBytes + 200);
    for (let later = number + 1; later <= last; later++) rmSync(segment(directory, later));
    cut = true;
  }
  const found = await verified(directory);
  expect(found.sequence).toBeLessThan(sequence);
  expect(found.is_whole).toBe(false);
  expect(found.findings.map(({ code }) => code)).not.toContain('torn_tail');
});

describe('the journal', () => {
  test('a flipped bit anywhere in a batch that was synced', async () => {
    for (const [number, at] of [
      [1, 5],
      [2, 100],
      [3, 126],
      [3, 64],
    ] as const) {
      const directory = scratch.copy(sound);
      const { block, sequence } = (await batchesOf(directory, number))[1]!;
      const place = block * blockBytes + at;
      damage(segment(directory, number), place, Uint8Array.of(readFileSync(segment(directory, number))[place]! ^ 4));
      const found = await verified(directory);
      expect(found.findings).toContainEqual(
        expect.objectContaining({ code: 'batch_damaged', segment: number, byte: block * blockBytes, sequence }),
      );
      expect(found.findings).toContainEqual(
        expect.objectContaining({ code: 'journal_damaged', advice: expect.stringContaining('salvage') }),
      );
    }
  });

  test('a segment that is gone, zeroed, cut, or swapped with another', async () => {
    const gone = scratch.copy(sound);
    rmSync(segment(gone, 2));
    expect(await damaged(gone)).toMatch(/segment 2 is missing/);

    const zeroed = scratch.copy(sound);
    writeFileSync(segment(zeroed, 3), Buffer.alloc(readFileSync(segment(zeroed, 3)).length));
    expect(await damaged(zeroed)).toMatch(/journal_damaged: .*segment 3/);

    const cut = scratch.copy(sound);
    truncateSync(segment(cut, 2), 5 * blockBytes);
    expect(await damaged(cut)).toMatch(/journal_damaged: .*segment 2/);

    const swapped = scratch.copy(sound);
    renameSync(segment(swapped, 2), join(swapped, 'x'));
    renameSync(segment(swapped, 3), segment(swapped, 2));
    renameSync(join(swapped, 'x'), segment(swapped, 3));
    expect(await damaged(swapped)).toMatch(/journal_damaged/);
  });

  test('a head or journal.json that is damaged costs nothing, and is told', async () => {
    const directory = scratch.copy(sound);
    damage(segment(directory, 2), 45, Uint8Array.of(0xff, 0xff));
    writeFileSync(join(directory, 'journal', 'journal.json'), '{"format":');
    const found = await verified(directory);
    expect(found.is_whole).toBe(true);
    expect(found.findings.map(({ code }) => code)).toEqual(['identity_damaged', 'head_damaged']);
    expect(found.live_tasks).toBe(taskCount / 2);
  });

  test('a torn tail is a note, and what a crash cut before is one', async () => {
    const directory = scratch.copy(sound);
    const last = (await verified(directory)).segments;
    let head = 1;
    while (head < last && (await batchesOf(directory, head + 1)).length > 0) head++;
    const { block, blocks } = (await batchesOf(directory, head)).at(-1)!;
    damage(segment(directory, head), (block + blocks) * blockBytes, Buffer.alloc(300, 7));
    writeFileSync(join(directory, 'journal', 'journal.torn-1'), 'torn');
    const found = await verified(directory);
    expect(found.is_whole).toBe(true);
    expect(found.findings).toEqual([
      expect.objectContaining({ severity: 'note', code: 'torn_copy' }),
      expect.objectContaining({
        severity: 'note',
        code: 'torn_tail',
        segment: head,
        byte: (block + blocks) * blockBytes,
      }),
    ]);
  });

  test('a segment of another store', async () => {
    const other = scratch.path();
    mkdirSync(other);
    await (await filled(other)).close();
    const directory = scratch.copy(sound);
    writeFileSync(segment(directory, 3), readFileSync(segment(other, 3)));
    await expect(verified(directory)).rejects.toMatchObject({
      code: 'journal_foreign',
      message: expect.stringMatching(/Segment 0+3.journal belongs to another store/),
    });
  });
});

describe('a batch that is whole, with records that are not', () => {
  const submission = (): Uint8Array => {
    const writer = new Writer();
    writeRecord(writer, submitted(1, idOf(1), { payload: new Uint8Array(50).fill(0x55) }) as JournalRecord);
    writeRecord(writer, { kind: 'counted', nextSeq: 9 });
    return writer.written.slice();
  };
  const found = async (body: Uint8Array, records: number) => {
    const directory = scratch.path();
    await written(directory, 1, body, records);
    return verified(directory);
  };

  test('a body whose checksum is wrong hides no record behind it', async () => {
    const body = submission();
    body[body.lastIndexOf(0x55)] = 8;
    const { findings, live_tasks, records } = await found(body, 2);
    expect(findings).toEqual([
      expect.objectContaining({ code: 'record_damaged', sequence: 1, segment: 1, byte: 2 * blockBytes + headerBytes }),
    ]);
    expect([live_tasks, records]).toEqual([0, 2]);
  });

  test('a length that goes too far, a count that is wrong', async () => {
    expect((await found(submission().subarray(0, -1), 2)).findings[0]!.message).toContain('the bytes end too early');
    expect((await found(submission(), 3)).findings).toEqual([
      expect.objectContaining({ code: 'record_missing', sequence: 1 }),
    ]);
    expect((await found(submission(), 2)).findings).toEqual([]);
  });
});

describe('the book', () => {
  const change = (directory: string, sql: string): void => {
    const db = new DatabaseSync(join(directory, 'book.db'));
    expect(db.prepare(sql).run().changes, sql).toBeGreaterThan(0);
    db.close();
  };
  /** Writes where the book stands as the book itself would. */
  const stand = (directory: string, change: (position: BookPosition) => BookPosition): void => {
    const db = new DatabaseSync(join(directory, 'book.db'));
    const standing = standingIn(db, 'book.db')!;
    const row = standingRow({ ...standing, position: change(standing.position) });
    db.prepare('REPLACE INTO position VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(...row);
    db.close();
  };

  test.each([
    ["UPDATE task SET state = 'cancelled' WHERE seq = 1", /book_damaged: .*task 0197a8e2.*0001/],
    ["UPDATE task SET record = CAST(record || x'00' AS BLOB) WHERE seq = 2", /task 0197a8e2.*0002/],
    ["UPDATE body SET bytes = x'c0' WHERE seq = 1 AND kind = 'result'", /the result of task 1\b/],
    ["UPDATE body SET bytes = x'c0' WHERE seq = 2 AND kind = 'payload'", /the payload of task 2\b/],
    ['UPDATE attempt SET crc = crc + 1 WHERE seq = 3', /attempt 1 of task 3\b/],
    ['UPDATE attempt SET seq = 4000 WHERE seq = 3', /attempt 1 of task 4000\b/],
    ['UPDATE position SET sequence = sequence - 3', /book_unreadable: .*where it stands/],
    ['UPDATE position SET tasks = tasks + 1', /book_unreadable: .*where it stands/],
  ])('%s', async (sql, message) => {
    const directory = scratch.copy(sound);
    change(directory, sql);
    expect(await damaged(directory)).toMatch(message);
  });

  test.each<[string, (position: BookPosition) => BookPosition, RegExp]>([
    ['earlier', (position) => ({ ...position, sequence: position.sequence - 3 }), /went different ways/],
    ['later', (position) => ({ ...position, sequence: position.sequence + 3 }), /the book has taken in batch/],
    ['elsewhere', (position) => ({ ...position, storeId: 'ab' }), /journal_foreign: .*book beside it of store ab/],
  ])('one that stands %s', async (_, move, message) => {
    const directory = scratch.copy(sound);
    stand(directory, move);
    expect(await damaged(directory)).toMatch(message);
  });

  test('a key in an index that has changed, and hides a row that is whole', async () => {
    const bytes = readFileSync(join(sound, 'book.db'));
    const id = Buffer.from(idOf(2));
    let hidden = 0;
    for (let at = bytes.indexOf(id); at >= 0; at = bytes.indexOf(id, at + 1)) {
      const directory = scratch.copy(sound);
      damage(join(directory, 'book.db'), at + id.length - 1, Uint8Array.of(bytes[at + id.length - 1]! ^ 8));
      const db = new DatabaseSync(join(directory, 'book.db'), { readOnly: true });
      const [byId, rows] = ['', 'NOT INDEXED'].map((how) =>
        db.prepare(`SELECT 1 FROM task ${how} WHERE id = ?`).all(`${id}`),
      );
      db.close();
      if (byId!.length > 0 || rows!.length === 0) continue; // it was in the row, or in what is left of an earlier page
      hidden++;
      const { findings } = await verified(directory);
      expect(findings).toContainEqual(
        expect.objectContaining({
          ...{ severity: 'damage', code: 'book_damaged', advice: expect.stringContaining('salvage') },
          message: expect.stringMatching(/SQLite finds in the book: .*index/),
        }),
      );
    }
    expect(hidden).toBe(1);
  });

  test('a page that is overwritten, a file that is no book, one of a newer version', async () => {
    const page = scratch.copy(sound);
    const { length } = readFileSync(join(page, 'book.db'));
    for (let at = 4096 * 3; at < length; at += 4096 * 5) damage(join(page, 'book.db'), at, Buffer.alloc(200, 0xee));
    expect(await damaged(page)).toMatch(/book_damaged/);
    const text = scratch.copy(sound);
    writeFileSync(join(text, 'book.db'), 'this is no book'.repeat(500));
    expect(await damaged(text)).toMatch(/book_unreadable: .*damaged/);
    const newer = scratch.copy(sound);
    const db = new DatabaseSync(join(newer, 'book.db'));
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(await damaged(newer)).toMatch(/book_unreadable: .*version 99/);
  });
});

test('a book that was removed, once the journal was released in part', async () => {
  const directory = scratch.path();
  await releasedInPart(directory);
  expect(await damaged(directory)).toMatch(/The book ends at batch 0 and the journal begins at \d+/);
  const store = journalStoreIn(directory, { segmentBytes });
  await expect(store.load(loadAt(1))).rejects.toMatchObject({ code: 'store_corrupt' });
  await store.close();
});

test('beside a broker that writes, nothing is called damaged that is only new', async () => {
  const directory = scratch.path();
  mkdirSync(directory);
  const store = await filled(directory);
  try {
    const found = await verifyStore(directory, { isMoving: true });
    expect(found).toMatchObject({ is_whole: true, is_moving: true });
    expect(found.sequence).toBeGreaterThan(taskCount);
  } finally {
    await store.close();
  }
});

test('what is no store is named, with what to do', async () => {
  const empty = scratch.path();
  mkdirSync(empty);
  await expect(verifyStore(empty, { isMoving: false })).rejects.toMatchObject({
    code: 'store_unavailable',
    message: expect.stringMatching(/no store in .*state directory/),
  });
  writeFileSync(join(empty, 'deye.db'), '');
  await expect(verifyStore(empty, { isMoving: false })).rejects.toThrow(/earlier deye/);
  const bookOnly = scratch.copy(sound);
  rmSync(join(bookOnly, 'journal'), { recursive: true });
  await expect(verifyStore(bookOnly, { isMoving: false })).rejects.toMatchObject({
    code: 'store_corrupt',
    message: expect.stringContaining('backup'),
  });
  expect(readdirSync(bookOnly)).toEqual(['book.db']);
});
