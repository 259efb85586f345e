/** A directory that is there whole or not at all: made beside its place under another name, and moved there at the end. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isFullDisk } from '../journal/file-disk.ts';
import { type Draft, makeDraft } from './draft.ts';
import { StoreError } from './port.ts';

/** `build` fills the draft and syncs its files. What is at `path` must be missing or empty. */
export async function buildDirectory<T>(path: string, build: (draft: string) => Promise<T>): Promise<T> {
  const target = resolve(path);
  refuseFilled(target);
  try {
    await using place = draftOf(target);
    const draft = place.path;
    const built = await build(draft);
    place.finish();
    for (const name of readdirSync(draft, { recursive: true, withFileTypes: true }))
      if (name.isDirectory()) await syncBehind(join(name.parentPath, name.name));
    await syncBehind(draft);
    refuseFilled(target);
    if (existsSync(target)) rmdirSync(target);
    renameSync(draft, target);
    await syncBehind(dirname(target));
    return built;
  } catch (error) {
    throw refused(error as NodeJS.ErrnoException, target, 'made');
  }
}

/** What the system refused, as an error that says what to do. */
export function refused(error: NodeJS.ErrnoException, target: string, what: 'made' | 'written'): Error {
  if (error.syscall === undefined) return error;
  const isFull = isFullDisk(error);
  const advice = isFull ? 'Make room, or name another place.' : 'Name another place.';
  return new StoreError(
    isFull ? 'store_full' : 'store_unavailable',
    `${target} cannot be ${what}: ${error.message}. ${advice} Nothing is left of the try.`,
    { cause: error },
  );
}

function refuseFilled(path: string): void {
  if (!existsSync(path)) return;
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (cause) {
    throw new StoreError('target_exists', `${path} is no directory. Name one that is missing or empty.`, {
      cause,
    });
  }
  if (names.length > 0)
    throw new StoreError('target_exists', `The directory ${path} is not empty. Name one that is missing or empty.`);
}

function draftOf(target: string): Draft {
  try {
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    return makeDraft(dirname(target), `.${basename(target)}.unfinished-`);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new StoreError(
      'store_unavailable',
      `Nothing can be written to ${dirname(target)}: ${why}. Name another place.`,
      { cause },
    );
  }
}

/** As `syncDirectory`, off the loop: a broker may run in this process. */
async function syncBehind(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using directory = await open(path, 'r');
  await directory.sync();
}

export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return; // there a directory cannot be synced
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
