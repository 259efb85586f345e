/** The store that was one SQLite file becomes a journal and a book: all of it, once, or not at all. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from 'vitest';
import type { StoreRecord } from '../../src/core/record.ts';
import { migrateOldStore } from '../../src/migration/migrate.ts';
import { columns, type Table } from '../../src/migration/old-row.ts';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { loadAt, moved, specOf, submitted } from '../conformance/records.ts';
import { writeOldFile, writeVersion2 } from './old-file.ts';

const root = mkdtempSync(join(tmpdir(), 'deye-migrate-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const stateDirectory = (): string => mkdtempSync(join(root, 'state-'));
const oldFile = (directory: string): string => join(directory, 'deye.db');
const quiet = (): void => {};

const error = { code: 'oops', message: 'it broke' };
const ended = { kind: 'attempt', startedAtMs: 5, endedAtMs: 6, error } as const;
/** Every column has a value: `a` is retried, `b` has ended, `c` waits. */
const records: StoreRecord[] = [
  submitted(1, 'a'),
  submitted(2, 'b'),
  { ...ended, seq: 1, attempt: 1, collectorId: 'c1', outcome: 'failed' },
  moved(1, 'retrying', { collectorId: 'c1', readyAtMs: 9000, delayMs: 7000, error, excluded: ['c1'] }),
  { ...ended, seq: 2, attempt: 1, collectorId: 'c1', outcome: 'completed' },
  moved(2, 'completed', { collectorId: 'c1', result: Uint8Array.of(0xc3) }),
  submitted(3, 'c', { payload: new Uint8Array(5000).fill(7) }),
  { kind: 'setting', namespace: 'default', key: 'k', value: 'v' },
];

function filled(): string {
  const directory = stateDirectory();
  writeOldFile(oldFile(directory), records);
  return directory;
}

async function expectMigrated(directory: string): Promise<void> {
  const store = journalStoreIn(join(directory, 'store'));
  const { tasks, ...loaded } = await store.load(loadAt(1));
  expect(loaded).toMatchObject({ nextSeq: 15, settings: new Map([['k', 'v']]) });
  expect(loaded.epoch).toBeGreaterThan(7);
  expect([...tasks]).toMatchObject([
    { seq: 1, spec: specOf('a'), state: 'retrying', readyAtMs: 9000, delayMs: 7000, error, excluded: ['c1'] },
    { seq: 3, spec: { id: 'c', payload: new Uint8Array(5000).fill(7) }, state: 'pending', attempt: 0 },
  ]);
  expect(await store.show('a')).toMatchObject({ attempts: [{ attempt: 1, outcome: 'failed', error }] });
  expect(await store.show('b')).toMatchObject({
    state: 'completed',
    result: Uint8Array.of(0xc3),
    attempts: [{ attempt: 1, collectorId: 'c1', startedAtMs: 5, endedAtMs: 6 }],
  });
  await store.close();
}

test('all of it comes through, and the old file is kept', async () => {
  const directory = filled();
  const before = readFileSync(oldFile(directory));
  expect(await migrateOldStore(directory, quiet)).toEqual({ tasks: 3, kept: `${oldFile(directory)}.migrated` });
  expect(readdirSync(directory).sort()).toEqual(['deye.db.migrated', 'store']);
  expect(readFileSync(`${oldFile(directory)}.migrated`).equals(before)).toBe(true);
  await expectMigrated(directory);
  expect(await migrateOldStore(directory, quiet)).toBeUndefined();
});

test('it is said how far it is', async () => {
  const stages: string[] = [];
  await migrateOldStore(filled(), (stage) => stages.push(stage));
  expect(stages).toEqual([
    'migrating the store: 3 of 3 tasks',
    'reading the new store back',
    'the new store takes its place',
    'the old file is put aside',
  ]);
});

describe('a kill', () => {
  const stages = [1, 2, 3, 4];
  test.each(stages)('before step %i leaves the old one or the new one, and the next start has all', async (step) => {
    const directory = filled();
    const script = `
      import { migrateOldStore } from ${JSON.stringify(new URL('../../src/migration/migrate.ts', import.meta.url).href)};
      let left = ${step};
      await migrateOldStore(${JSON.stringify(directory)}, () => { if (--left === 0) process.kill(process.pid, 'SIGKILL'); });
    `;
    const run = () => execFileSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(run).toThrow(expect.objectContaining({ signal: 'SIGKILL' }));
    expect([existsSync(oldFile(directory)), existsSync(join(directory, 'store'))]).toEqual([true, step === 4]);
    expect(await migrateOldStore(directory, quiet)).toMatchObject({ kept: `${oldFile(directory)}.migrated` });
    expect(readdirSync(directory).sort()).toEqual(['deye.db.migrated', 'store']);
    await expectMigrated(directory);
  });

  test('as soon as the new one has its place leaves it there, and the next start has all', async () => {
    const directory = filled();
    const script = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { renameSync } = fs;
      fs.renameSync = (from, to) => {
        renameSync(from, to);
        if (to === ${JSON.stringify(join(directory, 'store'))}) process.kill(process.pid, 'SIGKILL');
      };
      syncBuiltinESMExports();
      const { migrateOldStore } = await import(${JSON.stringify(new URL('../../src/migration/migrate.ts', import.meta.url).href)});
      await migrateOldStore(${JSON.stringify(directory)}, () => {});
    `;
    const run = () => execFileSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(run).toThrow(expect.objectContaining({ signal: 'SIGKILL' }));
    expect(readdirSync(directory).sort()).toEqual(['deye.db', 'store']);
    expect(await migrateOldStore(directory, quiet)).toMatchObject({ kept: `${oldFile(directory)}.migrated` });
    await expectMigrated(directory);
  });
});

test('an older deye that was started again made a second store: refused, and both are left', async () => {
  const directory = filled();
  await migrateOldStore(directory, quiet);
  writeOldFile(oldFile(directory), records);
  await expect(migrateOldStore(directory, quiet)).rejects.toMatchObject({
    code: 'store_unsafe',
    message: expect.stringMatching(/two stores.*deye\.db.*store.*Move away the one that you do not want/),
  });
  expect(readdirSync(directory).sort()).toEqual(['deye.db', 'deye.db.migrated', 'store']);
});

function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  expect(db.prepare(sql).run().changes, sql).toBe(1);
  db.close();
}

async function expectRefused(directory: string, message: RegExp): Promise<void> {
  await expect(migrateOldStore(directory, quiet)).rejects.toMatchObject({
    code: 'store_corrupt',
    message: expect.stringMatching(message),
  });
  expect([existsSync(oldFile(directory)), existsSync(join(directory, 'store'))]).toEqual([true, false]);
}

/** Another value of the type that a column is declared with. */
const another: Record<string, (column: string) => string> = {
  INTEGER: (column) => `${column} + 40`,
  REAL: (column) => `coalesce(${column}, 0) + 0.5`,
  TEXT: (column) => `coalesce(${column}, '') || 'x'`,
  BLOB: (column) => `CAST(coalesce(${column}, x'') || x'01' AS BLOB)`,
};
const rows: readonly (readonly [Table, string, RegExp])[] = [
  ['task', 'seq = 1', /damaged \(task ax?\)/],
  ['task', 'seq = 2', /damaged \(task bx?\)/],
  ['payload', 'seq = 1', /damaged \(task a\)/],
  ['result', 'seq = 2', /damaged \(the result of task b\)/],
  ['attempt', 'seq = 1', /damaged \(attempt (1|41) of task a\)/],
  ['setting', "key = 'k'", /damaged \(setting kx?\)/],
  ['counter', "name = 'epoch'", /damaged \(counter epoch\)/],
];

describe.each(rows)('a row of %s where %s', (table, where, message) => {
  // With another seq a result or an attempt belongs to another task or to none; with another name a counter is none.
  const isRead = (column: string): boolean =>
    (column !== 'seq' || ['task', 'payload'].includes(table)) && (column !== 'name' || table !== 'counter');

  test.each([...columns[table], 'crc'].filter(isRead))('%s', async (column) => {
    const directory = filled();
    const db = new DatabaseSync(oldFile(directory));
    const { type } = db.prepare('SELECT type FROM pragma_table_info(?) WHERE name = ?').get(table, column)!;
    db.close();
    change(oldFile(directory), `UPDATE ${table} SET ${column} = ${another[String(type)]!(column)} WHERE ${where}`);
    await expectRefused(directory, message);
  });
});

const versionOf = (path: string): unknown => {
  const db = new DatabaseSync(path);
  const { user_version } = db.prepare('PRAGMA user_version').get()!;
  db.close();
  return user_version;
};

describe('a store of version 2', () => {
  const version2 = (): string => {
    const directory = stateDirectory();
    writeVersion2(oldFile(directory), [specOf('a'), specOf('b')]);
    return directory;
  };

  test('comes through', async () => {
    const directory = version2();
    await migrateOldStore(directory, quiet);
    const store = journalStoreIn(join(directory, 'store'));
    const { tasks, ...loaded } = await store.load(loadAt(1));
    expect(loaded).toMatchObject({ nextSeq: 3, settings: new Map([['k', 'v']]) });
    expect([...tasks]).toMatchObject([{ seq: 1, spec: specOf('a') }]);
    expect(await store.show('b')).toMatchObject({ result: Uint8Array.of(1), attempts: [{ attempt: 1 }] });
    await store.close();
  });

  test.each([
    ["UPDATE payload SET body = x'00' WHERE seq = 1", /damaged \(task a\)/],
    ['DELETE FROM payload WHERE seq = 1', /damaged \(task a\)/],
    ["UPDATE result SET body = x'00'", /damaged \(the result of task b\)/],
  ] as const)('is refused when what it checked is wrong, and stays as it is: %s', async (sql, message) => {
    const directory = version2();
    change(oldFile(directory), sql);
    await expectRefused(directory, message);
    expect(versionOf(oldFile(directory))).toBe(2);
  });
});

describe('a file that is no such store is refused, and left as it is', () => {
  const refused = async (path: string) => {
    const before = readFileSync(path);
    const error = await migrateOldStore(join(path, '..'), quiet).catch((thrown: unknown) => thrown);
    expect(readFileSync(path).equals(before)).toBe(true);
    return error;
  };

  test('not a database', async () => {
    const path = oldFile(stateDirectory());
    writeFileSync(path, 'this is no database, but it is long enough to be looked at as one'.repeat(100));
    expect(await refused(path)).toMatchObject({ code: 'store_corrupt', message: expect.stringContaining(path) });
  });

  test('cut short', async () => {
    const path = oldFile(filled());
    writeFileSync(path, readFileSync(path).subarray(0, 20_000));
    expect(await refused(path)).toMatchObject({ code: 'store_corrupt' });
  });

  test('of a newer version', async () => {
    const path = oldFile(filled());
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(await refused(path)).toMatchObject({ code: 'store_newer', message: expect.stringMatching(/version 99/) });
  });

  test('of another program', async () => {
    const path = oldFile(stateDirectory());
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE notes (text)');
    db.close();
    expect(await refused(path)).toMatchObject({ code: 'store_foreign' });
  });

  test('a link', async () => {
    const directory = stateDirectory();
    const elsewhere = join(filled(), 'deye.db');
    symlinkSync(elsewhere, oldFile(directory));
    await expect(migrateOldStore(directory, quiet)).rejects.toMatchObject({ code: 'store_unsafe' });
    copyFileSync(elsewhere, join(directory, 'still-there'));
  });
});
