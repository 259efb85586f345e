/**
 * Brings the store that was one SQLite file (deye.db) into a journal and a book, once. The new one is made beside, read
 * back and compared, and takes its place by one rename; the old file is kept under another name. A kill at any point
 * leaves the old one as it was, or the new one whole.
 */
import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Writer } from '../core/bytes.ts';
import type { JournalRecord, StoredTask } from '../core/record.ts';
import { writeRecord } from '../core/record-bytes.ts';
import { bytesOf } from '../core/record-size.ts';
import { fullRecord, newDurable, replay } from '../core/replay.ts';
import { isEnded, type TaskState } from '../protocol/state.ts';
import { journalStoreIn } from '../store/journal-directory.ts';
import { syncDirectory } from '../store/new-directory.ts';
import { StoreError } from '../store/port.ts';
import { OldStore } from './old-store.ts';

const chunkBytes = 4 * 1024 * 1024;
const idsAtOnce = 1000;
const markName = 'migrated.json';

interface Migrated {
  /** Undefined when only the last step of an earlier start was left. */
  readonly tasks: number | undefined;
  /** Where the old file is now. */
  readonly kept: string;
}

/**
 * Call before the store in `directory/store` is opened, with the directory locked. Resolves with undefined when there is
 * nothing to migrate. Rejects with a StoreError; then nothing has changed.
 * @param progress gets what is done next, with how many tasks of how many are done.
 */
export async function migrateOldStore(
  directory: string,
  progress: (stage: string) => void,
): Promise<Migrated | undefined> {
  const [old, store, made] = ['deye.db', 'store', 'store.new'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const kept = `${old}.migrated`;
  const stat = lstatSync(old, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isFile())
    throw new StoreError('store_unsafe', `${old} is not a file. Put the file itself there, or move it away.`);
  const isThere = lstatSync(store, { throwIfNoEntry: false }) !== undefined;
  if (isThere && !isMarkOf(store, old))
    throw new StoreError(
      'store_unsafe',
      `There are two stores, ${old} and ${store}: an older deye was started again after the first was migrated. Move away the one that you do not want.`,
    );
  const tasks = isThere ? undefined : await make(old, made, progress);
  if (!isThere) {
    // SQLite does not touch the file any more.
    mark(made, old);
    renameSync(made, store);
    syncDirectory(directory);
    progress('the old file is put aside');
  }
  renameSync(old, kept);
  syncDirectory(directory);
  return { tasks, kept };
}

async function make(old: string, directory: string, progress: (stage: string) => void): Promise<number> {
  rmSync(directory, { recursive: true, force: true });
  using reader = new OldStore(old);
  await write(reader, directory, progress);
  await prove(reader, directory, progress);
  progress('the new store takes its place');
  return reader.tasks;
}

async function write(reader: OldStore, directory: string, progress: (stage: string) => void): Promise<void> {
  const store = journalStoreIn(directory, { epoch: reader.epoch });
  try {
    await store.load({ wallMs: Date.now(), idsAheadMax: 0 });
    const all = reader.tasks;
    let [records, bytes, done]: [JournalRecord[], number, number] = [[], 0, 0];
    const flush = async (): Promise<void> => {
      await store.commit(records);
      progress(`migrating the store: ${done} of ${all} tasks`);
      [records, bytes] = [[], 0];
    };
    for (const some of reader.records()) {
      done++;
      for (const record of some) bytes += bytesOf(record);
      records.push(...some);
      if (bytes > chunkBytes) await flush();
    }
    done = all;
    await flush();
  } finally {
    await store.close();
  }
}

/** Opens the new store and compares it with the old one. */
async function prove(reader: OldStore, directory: string, progress: (stage: string) => void): Promise<void> {
  progress('reading the new store back');
  const store = journalStoreIn(directory);
  const wrong = (what: string): StoreError =>
    new StoreError('store_failed', `${what} did not come through the migration; the old store is as it was.`);
  try {
    const loaded = await store.load({ wallMs: Date.now(), idsAheadMax: 0 });
    const tasks = new Map(Array.from(loaded.tasks, (task) => [task.seq, task]));
    const settings = new Map(loaded.settings);
    const ended = new Map<string, TaskState>();
    const proveEnded = async (): Promise<void> => {
      const found = await store.states([...ended.keys()]);
      for (const [id, state] of ended) if (found.get(id) !== state) throw wrong(`Task ${id}`);
      ended.clear();
    };
    for (const records of reader.records()) {
      const alone = newDurable();
      for (const record of records) replay(alone, record);
      const last = records.findLast(({ kind }) => kind === 'moved');
      const [task] = alone.tasks.values();
      const made = task === undefined ? undefined : tasks.get(task.seq);
      if (task !== undefined && (made === undefined || !bytesOfTask(made).equals(bytesOfTask(task))))
        throw wrong(`Task ${task.spec.id}`);
      for (const [key, value] of alone.settings) if (settings.get(key) !== value) throw wrong(`Setting ${key}`);
      if (task === undefined && last?.kind === 'moved' && isEnded(last.state))
        for (const record of records) if (record.kind === 'submitted') ended.set(record.spec.id, last.state);
      if (ended.size >= idsAtOnce) await proveEnded();
    }
    await proveEnded();
  } finally {
    await store.close();
  }
}

/** Of all that is durable of a task. */
function bytesOfTask(task: StoredTask): Buffer {
  const writer = new Writer();
  writeRecord(writer, fullRecord(task));
  return Buffer.from(writer.written);
}

interface Mark {
  readonly inode: number;
  readonly bytes: number;
  readonly changedMs: number;
}

function markOf(old: string): Mark {
  const { ino, size, mtimeMs } = lstatSync(old);
  return { inode: ino, bytes: size, changedMs: mtimeMs };
}

/** Notes in the new store which file it was made of. */
function mark(directory: string, old: string): void {
  const path = join(directory, markName);
  writeFileSync(path, JSON.stringify(markOf(old)), { mode: 0o600, flush: true });
  syncDirectory(directory);
}

function isMarkOf(store: string, old: string): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(readFileSync(join(store, markName), 'utf8')), markOf(old));
  } catch {
    return false; // there is none
  }
}
