import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { journalStoreIn } from '../../src/store/journal-directory.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { StoreError } from '../../src/store/port.ts';
import { SqliteStore } from '../../src/store/sqlite.ts';
import { SqliteEngine } from '../../src/store/sqlite-engine.ts';
import { expiryOf, loadAt, moved, submitted } from '../conformance/records.ts';
import { storeConformance } from '../conformance/store.ts';

const directory = mkdtempSync(join(tmpdir(), 'deye-store-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(directory, `${++files}.db`);

storeConformance('memory', () => {
  const store = new MemoryStore();
  return { store, reopen: async () => store };
});

storeConformance('journal', () => {
  const path = mkdtempSync(join(directory, 'journal-'));
  return { store: journalStoreIn(path), reopen: async () => journalStoreIn(path) };
});

storeConformance(
  'sqlite',
  () => {
    const path = newPath();
    return { store: new SqliteStore(path), reopen: async () => new SqliteStore(path) };
  },
  'ages',
);

describe('a store that cannot be trusted is refused, and left as it is', () => {
  const filled = async (): Promise<string> => {
    const path = newPath();
    const engine = new SqliteEngine(path);
    engine.commit(
      Array.from({ length: 200 }, (_, at) =>
        submitted(at + 1, `task-${at + 1}`, { payload: new Uint8Array(2000).fill(0x61) }),
      ),
    );
    engine.close();
    return path;
  };
  const refusal = async (path: string): Promise<StoreError> => {
    const before = readFileSync(path);
    const store = new SqliteStore(path);
    const error = await store.load(loadAt(Date.now())).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    await store.close().catch(() => {});
    expect(error).toBeInstanceOf(StoreError);
    expect(readFileSync(path).equals(before)).toBe(true);
    return error as StoreError;
  };

  test('not a database', async () => {
    const path = newPath();
    writeFileSync(path, 'this is no database, but it is long enough to be looked at as one'.repeat(100));
    expect(await refusal(path)).toMatchObject({ code: 'store_corrupt', message: expect.stringContaining(path) });
  });

  test('truncated', async () => {
    const path = await filled();
    truncateSync(path, Math.floor(readFileSync(path).length / 2));
    expect((await refusal(path)).code).toBe('store_corrupt');
  });

  test('a flipped bit in a payload', async () => {
    const path = await filled();
    const bytes = readFileSync(path);
    const at = bytes.lastIndexOf(Buffer.alloc(500, 0x61));
    bytes[at + 250] = 0x60;
    writeFileSync(path, bytes);
    expect((await refusal(path)).message).toMatch(/damaged \(task task-\d+\)/);
  });

  test('of a newer version', async () => {
    const path = await filled();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(await refusal(path)).toMatchObject({ code: 'store_newer', message: expect.stringMatching(/version 99/) });
  });

  test('of another program', async () => {
    const path = newPath();
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE notes (text)');
    db.close();
    expect((await refusal(path)).code).toBe('store_foreign');
  });

  test('in a directory that is not there', async () => {
    const store = new SqliteStore(join(directory, 'missing', 'deye.db'));
    await expect(store.load(loadAt(Date.now()))).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

/** Commits until one is rejected. */
function fill(engine: SqliteEngine): { readonly kept: number; readonly error: StoreError } {
  for (let at = 1; at < 500; at++)
    try {
      engine.commit([submitted(at, `task-${at}`, { payload: new Uint8Array(20_000) })]);
    } catch (error) {
      return { kept: at - 1, error: engine.explain(error) };
    }
  throw new Error('nothing was rejected');
}

test('a full disk rejects the commit, keeps what was there, and takes more once there is room', () => {
  const path = newPath();
  using prepared = vi.spyOn(DatabaseSync.prototype, 'prepare');
  const engine = new SqliteEngine(path);
  const connection = prepared.mock.contexts.at(-1) as DatabaseSync;
  connection.exec('PRAGMA max_page_count = 250');
  const { kept, error } = fill(engine);
  expect(kept).toBeGreaterThan(10);
  expect(error).toMatchObject({ code: 'store_full', message: expect.stringContaining(path) });
  expect(error.cause).toMatchObject({ errcode: 13 });
  expect([...engine.load(loadAt(Date.now())).tasks]).toHaveLength(kept);
  connection.exec('PRAGMA max_page_count = 10000');
  engine.commit([submitted(kept + 1, `task-${kept + 1}`)]);
  engine.close();
  const again = new SqliteEngine(path);
  expect([...again.load(loadAt(Date.now())).tasks]).toHaveLength(kept + 1);
  again.close();
});

test('a write that fails rejects the commit, keeps what was there, and names the file', () => {
  // SQLite tells only the end of the disk as such: beyond a limit on a file's size it is a failed write.
  // The signal that comes with it is ignored.
  const path = newPath();
  const script = `
    import { SqliteEngine } from ${JSON.stringify(new URL('../../src/store/sqlite-engine.ts', import.meta.url).href)};
    import { submitted } from ${JSON.stringify(new URL('../conformance/records.ts', import.meta.url).href)};
    process.on('SIGXFSZ', () => {});
    const engine = new SqliteEngine(${JSON.stringify(path)});
    let kept = 0;
    try { for (let at = 1; at < 500; at++) { engine.commit([submitted(at, 'task-' + at, { payload: new Uint8Array(20_000) })]); kept = at; } }
    catch (error) { console.log(JSON.stringify({ kept, code: engine.explain(error).code, message: engine.explain(error).message })); }
  `;
  const said = execFileSync(
    'bash',
    ['-c', 'ulimit -f 2000; exec "$0" --input-type=module -e "$1"', process.execPath, script],
    { encoding: 'utf8' },
  );
  const { kept, code, message } = JSON.parse(said) as { kept: number; code: string; message: string };
  expect(kept).toBeGreaterThan(10);
  expect(code).toBe('store_failed');
  expect(message).toContain(path);
  const engine = new SqliteEngine(path);
  expect([...engine.load(loadAt(Date.now())).tasks]).toHaveLength(kept);
  engine.close();
});

test('the file is readable by its owner only', async () => {
  const path = newPath();
  const store = new SqliteStore(path);
  await store.load(loadAt(Date.now()));
  const mode = execFileSync('stat', ['-c', '%a', path], { encoding: 'utf8' }).trim();
  expect(mode).toBe('600');
  await store.close();
});

test('a purge takes all that belongs to a task', () => {
  const path = newPath();
  const engine = new SqliteEngine(path);
  engine.load(loadAt(1));
  const attempt = { collectorId: 'c', startedAtMs: 1, endedAtMs: 2, outcome: 'completed', error: undefined } as const;
  engine.commit([
    submitted(1, 'a'),
    { kind: 'attempt', seq: 1, attempt: 1, ...attempt },
    moved(1, 'completed', { result: Uint8Array.of(1) }),
  ]);
  const db = new DatabaseSync(path);
  const tables = ['task', 'payload', 'result', 'attempt'];
  const rows = () => tables.map((table) => db.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n);
  expect(rows()).toEqual([1, 1, 1, 1]);
  engine.commit([{ kind: 'purged', seqs: engine.expired(expiryOf({ beforeMs: 9e12 })).tasks }]);
  expect(rows()).toEqual([0, 0, 0, 0]);
  db.close();
  engine.close();
});
