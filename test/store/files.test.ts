/** The files of the SQLite store: private from the start, no links, and what becomes of them under an open store. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StoreError } from '../../src/store/port.ts';
import { SqliteEngine } from '../../src/store/sqlite-engine.ts';
import { loadAt, submitted } from '../conformance/records.ts';

/** The mode of each file just before SQLite opens it; undefined where SQLite would make it. */
const modes: (number | undefined)[] = [];

vi.mock('node:sqlite', async (load) => {
  const real = await load<typeof import('node:sqlite')>();
  class DatabaseSync extends real.DatabaseSync {
    constructor(path: string) {
      const { mode } = statSync(path, { throwIfNoEntry: false }) ?? {};
      modes.push(mode === undefined ? undefined : mode & 0o777);
      super(path);
    }
  }
  return { ...real, DatabaseSync };
});

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'deye-files-'));
  path = join(root, 'state', 'deye.db');
  mkdirSync(dirname(path));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function opened(): SqliteEngine {
  const engine = new SqliteEngine(path);
  engine.load(loadAt(1));
  engine.commit([submitted(1, 'a')]);
  return engine;
}

const stored = (): string[] => {
  const engine = new SqliteEngine(path);
  const ids = [...engine.load(loadAt(1)).tasks].map(({ spec }) => spec.id);
  engine.close();
  return ids;
};

const refusal = (run: () => unknown): StoreError => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error('it is not refused');
};

test('a new file is private before SQLite opens it, whatever the umask', () => {
  modes.length = 0;
  const before = process.umask(0);
  const engine = opened();
  process.umask(before);
  expect(modes).toEqual([0o600]);
  for (const file of readdirSync(dirname(path))) expect(statSync(join(dirname(path), file)).mode & 0o777).toBe(0o600);
  engine.close();
});

test.each(['', '-wal', '-shm'])('a link at deye.db%s is refused, and what it leads to is left alone', (suffix) => {
  const target = join(root, 'mine');
  symlinkSync(target, path + suffix);
  expect(refusal(() => new SqliteEngine(path))).toMatchObject({
    code: 'store_unsafe',
    message: expect.stringMatching(`${path}${suffix} is a symbolic link.*Put the file itself there, or move it away`),
  });
  expect(existsSync(target)).toBe(false);
});

test('a log that is replaced is put aside, and what was committed is written back', () => {
  const engine = opened();
  rmSync(`${path}-wal`);
  writeFileSync(`${path}-wal`, 'another');
  const { code, message } = refusal(() => engine.commit([submitted(2, 'b')]));
  expect([code, message]).toEqual(['store_removed', expect.stringMatching(/-wal was replaced.*written back there/)]);
  const aside = readdirSync(dirname(path)).filter((name) => name.endsWith('.wal'));
  expect(aside.map((name) => readFileSync(join(dirname(path), name), 'utf8'))).toEqual(['another']);
  expect(refusal(() => engine.commit([submitted(3, 'c')])).message).toBe(message); // never again
  expect(refusal(() => engine.check()).message).toBe(message);
  engine.close();
  expect(stored()).toEqual(['a', 'b']);
});

test('where nothing can be saved the message says so', () => {
  const engine = opened();
  renameSync(dirname(path), join(root, 'moved'));
  writeFileSync(dirname(path), 'no directory');
  expect(refusal(() => engine.check())).toMatchObject({
    code: 'store_removed',
    message: expect.stringMatching(/deye\.db was removed.*could not be saved.*put back a copy before the next start/),
  });
  engine.close();
});
