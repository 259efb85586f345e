/** Every column of every row that is read is checked, and rows of older versions get their checksum once, whole. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import type { StoreRecord } from '../../src/core/record.ts';
import { encodeValue } from '../../src/protocol/msgpack.ts';
import { SqliteEngine } from '../../src/store/sqlite-engine.ts';
import { columns, type Table } from '../../src/store/sqlite-row.ts';
import { applicationId, migrations } from '../../src/store/sqlite-schema.ts';
import { loadAt, moved, specOf, submitted } from '../conformance/records.ts';

const directory = mkdtempSync(join(tmpdir(), 'deye-checksum-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(directory, `${++files}.db`);

const error = { code: 'oops', message: 'it broke' };
const ended = { kind: 'attempt', startedAtMs: 5, endedAtMs: 6.5, error } as const;
/** Every column has a value: `a` is retried, `b` has ended. */
const records: StoreRecord[] = [
  submitted(1, 'a'),
  submitted(2, 'b'),
  { ...ended, seq: 1, attempt: 1, collectorId: 'c1', outcome: 'failed' },
  moved(1, 'retrying', { collectorId: 'c1', readyAtMs: 9000.25, delayMs: 7000, error, excluded: ['c1'] }),
  { ...ended, seq: 2, attempt: 1, collectorId: 'c1', outcome: 'completed' },
  moved(2, 'completed', { collectorId: 'c1', result: Uint8Array.of(0xc3) }),
  { kind: 'setting', namespace: 'default', key: 'k', value: 'v' },
];

function filled(): string {
  const path = newPath();
  const engine = new SqliteEngine(path);
  engine.load(loadAt(1));
  engine.commit(records);
  engine.commit([{ kind: 'purged', seqs: [] }]);
  engine.close();
  return path;
}

function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  expect(db.prepare(sql).run().changes, sql).toBe(1);
  db.close();
}

/** Everything that a broker reads. */
function readAll(path: string): void {
  const engine = new SqliteEngine(path);
  try {
    engine.load(loadAt(1));
    for (const id of ['a', 'b']) engine.show(id);
    engine.list({ states: [], operation: undefined, collectorId: undefined, beforeSeq: undefined, limit: 10 });
  } catch (cause) {
    throw engine.explain(cause);
  } finally {
    engine.close();
  }
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
  ['counter', "name = 'epoch'", /damaged \(counter epochx?\)/],
];

describe.each(rows)('a row of %s where %s', (table, where, message) => {
  const sound = filled();
  // A result or an attempt with another seq belongs to another task or to none, and is not read.
  const read = [...columns[table], 'crc'].filter((column) => column !== 'seq' || ['task', 'payload'].includes(table));

  test.each(read)('%s', (column) => {
    const path = newPath();
    copyFileSync(sound, path);
    const db = new DatabaseSync(path);
    const { type } = db.prepare('SELECT type FROM pragma_table_info(?) WHERE name = ?').get(table, column)!;
    db.close();
    change(path, `UPDATE ${table} SET ${column} = ${another[String(type)]!(column)} WHERE ${where}`);
    expect(() => readAll(path)).toThrow(message);
  });
});

test('a state that was changed to an ended one is found', () => {
  const path = filled();
  change(path, "UPDATE task SET state = 'cancelled' WHERE seq = 1");
  expect(() => readAll(path)).toThrow(/damaged \(task a\)/);
});

/** As version 2 wrote it. */
function ofVersion2(): string {
  const path = newPath();
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; ${migrations[0]!.sql} ${migrations[1]!.sql}`);
  db.exec(`PRAGMA user_version = 2; PRAGMA application_id = ${applicationId}`);
  for (const [seq, name, state] of [
    [1, 'a', 'pending'],
    [2, 'b', 'completed'],
  ] as const) {
    const { payload, namespace, id, operation, priority, ...rest } = specOf(name);
    const spec = encodeValue(rest);
    db.prepare(
      `INSERT INTO task (seq, namespace, id, operation, priority, spec, crc, submitted_ms, state, attempt, at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, 1000.5, ?, 0, 1000.5)`,
    ).run(seq, namespace, id, operation, priority, spec, crc32(payload, crc32(spec, crc32(id))), state);
    db.prepare('INSERT INTO payload VALUES (?, ?)').run(seq, payload);
  }
  db.prepare('INSERT INTO result VALUES (2, ?, ?)').run(Uint8Array.of(1), crc32(Uint8Array.of(1)));
  db.exec(`INSERT INTO attempt VALUES (2, 1, 'c', 5, 6, 'completed', NULL);
    INSERT INTO setting (key, value) VALUES ('k', 'v'); INSERT INTO counter VALUES ('epoch', 7)`);
  db.close();
  return path;
}

const versionOf = (path: string): unknown => {
  const db = new DatabaseSync(path);
  const { user_version } = db.prepare('PRAGMA user_version').get()!;
  db.close();
  return user_version;
};

function expectMigrated(path: string): void {
  const engine = new SqliteEngine(path);
  expect(engine.load(loadAt(1))).toMatchObject({
    epoch: 8,
    nextSeq: 3,
    expiredBeforeMs: 0,
    settings: new Map([['k', 'v']]),
    tasks: [{ seq: 1 }],
  });
  expect(engine.show('b')).toMatchObject({ result: Uint8Array.of(1), attempts: [{ attempt: 1, collectorId: 'c' }] });
  engine.close();
  expect(versionOf(path)).toBe(3);
}

describe('a store of version 2', () => {
  test('gets its checksums', () => expectMigrated(ofVersion2()));

  test('is refused when what version 2 checked is wrong, and stays as it is', () => {
    for (const [sql, message] of [
      ["UPDATE payload SET body = x'00' WHERE seq = 1", /damaged \(task a\)/],
      ['DELETE FROM payload WHERE seq = 1', /damaged \(task a\)/],
      ["UPDATE result SET body = x'00'", /damaged \(the result of task b\)/],
    ] as const) {
      const path = ofVersion2();
      change(path, sql);
      expect(() => new SqliteEngine(path)).toThrow(message);
      expect(versionOf(path)).toBe(2);
    }
  });

  test('is migrated whole or not at all when the process is killed', () => {
    const path = ofVersion2();
    const script = `
      import { DatabaseSync } from 'node:sqlite';
      import { SqliteEngine } from ${JSON.stringify(new URL('../../src/store/sqlite-engine.ts', import.meta.url).href)};
      const { exec } = DatabaseSync.prototype;
      DatabaseSync.prototype.exec = function (sql) {
        if (sql === 'COMMIT') process.kill(process.pid, 'SIGKILL');
        return exec.call(this, sql);
      };
      new SqliteEngine(${JSON.stringify(path)});
    `;
    expect(() => execFileSync(process.execPath, ['--input-type=module', '-e', script])).toThrow(
      expect.objectContaining({ signal: 'SIGKILL' }),
    );
    expect(versionOf(path)).toBe(2);
    expectMigrated(path);
  });
});
