/** The files of one real directory. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Disk, type DiskFile, DiskFullError } from './disk.ts';
import { JournalError } from './port.ts';

const [open, close, read, writev, fstat, fsync, fdatasync] = [
  promisify(fs.open),
  promisify(fs.close),
  promisify(fs.read),
  promisify(fs.writev),
  promisify(fs.fstat),
  promisify(fs.fsync),
  promisify(fs.fdatasync),
];

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_DSYNC = 0 } = fs.constants;
/** Buffers that one writev may have. */
const partsMax = 1024;
const fullCodes: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Whether the system refused for want of space, or for a limit of it. */
export const isFullDisk = (error: Error): boolean => fullCodes.has((error as NodeJS.ErrnoException).code);

/** With `readOnly` nothing that is done through it changes a file. */
export function fileDisk(directory: string, { readOnly = false } = {}): Disk {
  const path = (name: string): string => join(directory, name);
  return {
    names: () => promisify(fs.readdir)(directory),
    async free() {
      const { bavail, bsize } = await promisify(fs.statfs)(directory);
      return bavail * bsize;
    },
    async open(name, { create, synced }) {
      const flags =
        (readOnly ? O_RDONLY : O_RDWR) | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0) | (synced ? O_DSYNC : 0);
      if (!create) await refuseNoFile(path(name));
      const fd = await orFull(open(path(name), flags, 0o600));
      return fileOf(fd, synced && O_DSYNC === 0, path);
    },
    rename: (from, to) => orFull(promisify(fs.rename)(path(from), path(to))),
    remove: (name) => promisify(fs.unlink)(path(name)),
    sync: () => syncDirectory(directory),
  };
}

/** Looked at before it is opened: that would wait for whoever writes to a FIFO. Rejects as `open` when nothing is there. */
async function refuseNoFile(path: string): Promise<void> {
  const stat = await promisify(fs.lstat)(path);
  if (stat.isFile()) return;
  const what = stat.isSymbolicLink() ? 'a symbolic link' : stat.isDirectory() ? 'a directory' : 'no regular file';
  throw new JournalError(
    'journal_unsafe',
    `${path} is ${what}, where a file of the journal should be. Move it away, and put the file itself there if it is elsewhere.`,
  );
}

/** @param syncAfter whether every write is followed by a sync, where the system has no O_DSYNC. */
function fileOf(fd: number, syncAfter: boolean, path: (name: string) => string): DiskFile {
  const own = fs.fstatSync(fd);
  let isOpen = true;
  let bytes = own.size;
  return {
    size: async () => (await fstat(fd)).size,
    at(name) {
      try {
        const { ino, dev, size } = fs.lstatSync(path(name));
        if (ino !== own.ino || dev !== own.dev) return 'replaced';
        return size < bytes ? 'cut' : 'there';
      } catch {
        return fs.fstatSync(fd).nlink > 0 ? 'moved' : 'removed'; // it, or what it lay in
      }
    },
    async read(into, position) {
      for (let at = 0; ; ) {
        const { bytesRead } = await read(fd, into, at, into.length - at, position + at);
        at += bytesRead;
        if (bytesRead === 0 || at === into.length) return at;
      }
    },
    async write(parts, position) {
      let left = parts;
      for (let at = position; left.length > 0; ) {
        const { bytesWritten } = await orFull(writev(fd, left.slice(0, partsMax), at));
        at += bytesWritten;
        bytes = Math.max(bytes, at);
        left = unwritten(left, bytesWritten);
      }
      if (syncAfter) await orFull(fdatasync(fd));
    },
    sync: () => orFull(fsync(fd)),
    async close() {
      if (!isOpen) return; // its number may be that of another file by now
      isOpen = false;
      await close(fd);
    },
  };
}

/** What a write that stopped early has left of the parts. */
function unwritten(parts: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let bytes = written;
  let index = 0;
  while (index < parts.length && bytes >= parts[index]!.length) bytes -= parts[index++]!.length;
  return bytes === 0 ? parts.slice(index) : [parts[index]!.subarray(bytes), ...parts.slice(index + 1)];
}

async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return; // there a directory cannot be synced
  const fd = await open(directory, O_RDONLY);
  try {
    await orFull(fsync(fd));
  } finally {
    await close(fd);
  }
}

async function orFull<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isFullDisk(error as Error) ? new DiskFullError((error as Error).message, { cause: error }) : error;
  }
}
