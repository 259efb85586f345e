/** Copies of files, synced, with the CRC-32 of what was read. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { StoreError } from './port.ts';

const chunkBytes = 1024 * 1024;

export interface CopiedFile {
  readonly bytes: number;
  readonly crc: number;
}

interface CopyOptions {
  /** Only so many bytes of it; fewer there are an error. */
  readonly bytes?: number;
  /** Zeros behind them. */
  readonly zeros?: number;
  readonly each?: (bytes: number) => void;
}

/** `to` must not be there. The CRC-32 is that of the whole copy. */
export async function copyFile(from: string, to: string, options: CopyOptions = {}): Promise<CopiedFile> {
  const { zeros = 0, each = () => {} } = options;
  await using source = await openFile(from);
  await using target = await open(to, 'wx', 0o600);
  const { bytes: wanted = (await source.stat()).size } = options;
  const chunk = Buffer.alloc(chunkBytes);
  let [at, crc] = [0, 0];
  const write = async (part: Uint8Array): Promise<void> => {
    // A write may stop early, where a disk or a limit ends; the next one says why.
    for (let done = 0; done < part.length; )
      done += (await target.write(part, done, part.length - done, at + done)).bytesWritten;
    crc = crc32(part, crc);
    at += part.length;
    each(part.length);
  };
  while (at < wanted) {
    const { bytesRead } = await source.read(chunk, 0, Math.min(chunk.length, wanted - at), at);
    if (bytesRead === 0) throw new Error(`${from} ends at byte ${at}, before byte ${wanted}`);
    await write(chunk.subarray(0, bytesRead));
  }
  if (zeros > 0) await write(new Uint8Array(zeros));
  await target.sync();
  return { bytes: at, crc };
}

export async function fileChecksum(path: string): Promise<CopiedFile> {
  await using file = await openFile(path);
  const chunk = Buffer.alloc(chunkBytes);
  let [at, crc] = [0, 0];
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return { bytes: at, crc };
    crc = crc32(chunk.subarray(0, bytesRead), crc);
    at += bytesRead;
  }
}

/** To read. Looked at before: a FIFO would wait for whoever writes to it. */
async function openFile(path: string): Promise<FileHandle> {
  if (!(await stat(path)).isFile()) throw new StoreError('store_unsafe', `${path} is no regular file.`);
  return open(path, 'r');
}

export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.sync();
}
